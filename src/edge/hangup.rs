//! Ending one exchange from outside, also while its client does not read and nothing of it would be polled.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Version;
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::early_hints::EarlyHints;
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

    /// What keeps watch over how the exchange's answer is taken, where its connection has others beside it.
    pub(super) fn owing(&self, streams: Option<&Streams>) -> Option<Owing> {
        match (&self.0, streams) {
            (Line::Stream(stream), Some(streams)) => {
                Some(Owing { stream: Rc::clone(stream), debtors: Rc::clone(&streams.debtors), listed: false })
            }
            _ => None,
        }
    }

    /// A way to send hints before the answer to the request that is being handled, which was of this version: HTTP/1.1
    /// has one, earlier clients would take a hint for the answer (RFC 8297, section 3), and of HTTP/2 hyper has none.
    pub fn early_hints(&self, version: Version) -> Option<EarlyHints> {
        match &self.0 {
            Line::Connection(progress) if version == Version::HTTP_11 => {
                Some(EarlyHints::of(progress, progress.last_request()))
            }
            _ => None,
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
pub(super) struct Streams {
    next: Rc<Cell<Option<Rc<Stream>>>>,
    /// Those with an answer in more than one part that is not whole yet.
    debtors: Debtors,
}

type Debtors = Rc<RefCell<Vec<Rc<Stream>>>>;

impl Streams {
    /// A handle to the stream that is about to be served.
    pub(super) fn next(&self) -> Hangup {
        let stream = Rc::new(Stream::default());
        self.next.set(Some(Rc::clone(&stream)));
        Hangup(Line::Stream(stream))
    }

    /// Resets the streams whose clients have taken nothing for as long as this; how many.
    pub(super) fn reap(&self, patience: Duration) -> usize {
        let debtors = self.debtors.borrow();
        let stalled = debtors.iter().filter(|stream| {
            !stream.cut.get() && stream.owed_since.get().is_some_and(|since| since.elapsed() >= patience)
        });
        stalled.map(|stream| stream.cut()).count()
    }
}

/// Spawns onto the current thread: nothing of a connection leaves its core.
impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, future: F) {
        match self.next.take() {
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
    /// Since when a part of the answer waits for room in the client's window.
    owed_since: Cell<Option<Instant>>,
}

/// Whether the answer of one HTTP/2 stream is taken. (A client that takes nothing of one stream still reads the others.)
#[derive(Debug)]
pub(super) struct Owing {
    stream: Rc<Stream>,
    debtors: Debtors,
    listed: bool,
}

impl Owing {
    /// A part has been handed over, and more is to come.
    pub(super) fn owes(&mut self) {
        self.stream.owed_since.set(Some(Instant::now()));
        if !self.listed {
            self.listed = true;
            self.debtors.borrow_mut().push(Rc::clone(&self.stream));
        }
    }

    /// There is room for more.
    pub(super) fn taken(&self) {
        if self.listed {
            self.stream.owed_since.set(None);
        }
    }
}

impl Drop for Owing {
    fn drop(&mut self) {
        if self.listed {
            self.debtors.borrow_mut().retain(|stream| !Rc::ptr_eq(stream, &self.stream));
        }
    }
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
        this.streams.next.set(Some(Rc::clone(this.stream)));
        let polled = this.future.poll(cx);
        this.streams.next.set(None);
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
