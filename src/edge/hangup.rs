//! Ending one exchange from outside, also while its client does not read and nothing of it would be polled.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::progress::{Active, Progress};

/// Ends one exchange from outside: the whole connection in HTTP/1, which has no other way; the one stream in HTTP/2.
#[derive(Debug, Clone)]
pub struct Hangup(Line);

#[derive(Debug, Clone)]
enum Line {
    Connection(Arc<Progress>),
    Stream(Rc<Stream>),
}

impl Hangup {
    /// Of nothing in particular, and whether it was used.
    #[cfg(test)]
    pub(crate) fn for_test() -> (Self, impl Fn() -> bool) {
        let stream = Rc::new(Stream::default());
        (Self(Line::Stream(Rc::clone(&stream))), move || stream.cut.get())
    }

    pub(super) fn of_connection(progress: &Arc<Progress>) -> Self {
        Self(Line::Connection(Arc::clone(progress)))
    }

    /// Keeps the connection in use for as long as the exchange's stream is a tunnel, if it becomes one.
    pub(super) fn keep_for_tunnel(&self, active: Active) {
        if let Line::Stream(stream) = &self.0 {
            stream.of_tunnel.replace(Some(active));
        }
    }

    /// Drops what serves the exchange. An HTTP/1 connection is reset, also where it is another protocol's by now, once
    /// whoever has it drops it; what the system has not sent of it is thrown away. An HTTP/2 stream is reset once the
    /// client takes what was queued for it, at most a window.
    pub fn hang_up(&self) {
        match &self.0 {
            Line::Connection(progress) => progress.cut(),
            Line::Stream(stream) => stream.cut(),
        }
    }
}

/// Names the stream whose future is spawned next: hyper calls the service and spawns what comes of it in one go. What is
/// spawned while a stream's own future runs carries on with that stream, as a tunnel.
#[derive(Clone, Default)]
pub(super) struct Streams(Rc<Cell<Option<Rc<Stream>>>>);

impl Streams {
    /// A handle to the stream that is about to be served.
    pub(super) fn next(&self) -> Hangup {
        let stream = Rc::new(Stream::default());
        self.0.set(Some(Rc::clone(&stream)));
        Hangup(Line::Stream(stream))
    }
}

/// Spawns onto the current thread: nothing of a connection leaves its core.
impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, future: F) {
        match self.0.take() {
            Some(stream) => {
                let (streams, of_tunnel) = (self.clone(), stream.of_tunnel.take());
                drop(tokio::task::spawn_local(Served { future, stream, streams, _of_tunnel: of_tunnel }));
            }
            None => drop(tokio::task::spawn_local(future)),
        }
    }
}

#[derive(Debug, Default)]
struct Stream {
    cut: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    of_tunnel: RefCell<Option<Active>>,
}

impl Stream {
    fn cut(&self) {
        self.cut.set(true);
        let waker = self.waker.take();
        waker.iter().for_each(Waker::wake_by_ref);
    }
}

pin_project! {
    struct Served<F> {
        #[pin]
        future: F,
        stream: Rc<Stream>,
        streams: Streams,
        _of_tunnel: Option<Active>,
    }
}

impl<F: Future<Output = ()>> Future for Served<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // The task drops the future once it has ended, and h2 resets a stream that is dropped.
        if this.stream.cut.get() {
            return Poll::Ready(());
        }
        this.streams.0.set(Some(Rc::clone(this.stream)));
        let polled = this.future.poll(cx);
        this.streams.0.set(None);
        if polled.is_pending() {
            let mut known = this.stream.waker.borrow_mut();
            // The waker of a task is always the same; a tunnel has a task of its own.
            if !known.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                *known = Some(cx.waker().clone());
            }
        }
        polled
    }
}
