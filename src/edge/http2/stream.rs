//! What a stream's own task and those who act on it tell each other.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{Response, StatusCode};
use tokio::time::Instant;

use crate::edge::early_hints::StreamHints;

/// One stream, from its request on.
#[derive(Debug, Default)]
pub(in crate::edge) struct Stream {
    cut: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Whether its client waits for leave to send the body, and shall have it.
    body_wanted: Cell<bool>,
    hints: OnceCell<Arc<StreamHints>>,
    /// Since when a part of the answer waits for room in the client's window.
    owed_since: Cell<Option<Instant>>,
}

impl Stream {
    /// Ends it.
    pub(in crate::edge) fn cut(&self) {
        self.cut.set(true);
        self.wake();
    }

    /// Whether it is to end; wakes the task of this context when it is.
    pub(super) fn is_cut(&self, cx: &Context<'_>) -> bool {
        if self.cut.get() {
            return true;
        }
        let mut known = self.waker.borrow_mut();
        // The waker of a task is always the same; a tunnel has a task of its own.
        if !known.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *known = Some(cx.waker().clone());
        }
        false
    }

    /// Whether it has been ended.
    #[cfg(test)]
    pub(in crate::edge) fn was_cut(&self) -> bool {
        self.cut.get()
    }

    /// The handler wants the body that the client holds back.
    pub(in crate::edge) fn want_body(&self) {
        self.body_wanted.set(true);
        self.wake();
    }

    /// By which hints are given to be sent.
    pub(in crate::edge) fn hints(&self) -> Arc<StreamHints> {
        Arc::clone(self.hints.get_or_init(Arc::default))
    }

    /// Sends what is to be said before the answer. To be called while there is none, on a stream that is known to be open:
    /// `h2` would send it also behind the answer, and to a stream that has been reset.
    pub(super) fn say_interim(&self, reply: &mut SendResponse<Bytes>, cx: &Context<'_>) {
        if self.body_wanted.take() {
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            let _ = reply.send_informational(go_on);
        }
        let Some(hints) = self.hints.get() else { return };
        for headers in hints.take(cx.waker()) {
            let mut hint = Response::new(());
            *hint.status_mut() = StatusCode::EARLY_HINTS;
            *hint.headers_mut() = headers;
            let _ = reply.send_informational(hint);
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// The streams of one connection whose clients have yet to make room for a part of an answer.
#[derive(Clone, Default)]
pub(in crate::edge) struct Debtors(Rc<RefCell<Vec<Rc<Stream>>>>);

impl Debtors {
    /// Resets the streams whose clients have made no room for as long as this; how many.
    pub(in crate::edge) fn reap(&self, patience: Duration) -> usize {
        let debtors = self.0.borrow();
        let stalled = debtors.iter().filter(|stream| {
            !stream.cut.get() && stream.owed_since.get().is_some_and(|since| since.elapsed() >= patience)
        });
        stalled.map(|stream| stream.cut()).count()
    }
}

/// Whether the answer of one stream is taken. (A client that takes nothing of one stream still reads the others.)
pub(super) struct Owing {
    stream: Rc<Stream>,
    debtors: Debtors,
    listed: bool,
}

impl Owing {
    pub(super) fn new(stream: Rc<Stream>, debtors: Debtors) -> Self {
        Self { stream, debtors, listed: false }
    }

    /// Whether the stream is to end; wakes the task of this context when it is.
    pub(super) fn is_cut(&self, cx: &Context<'_>) -> bool {
        self.stream.is_cut(cx)
    }

    /// A part waits for room.
    pub(super) fn owes(&mut self) {
        if self.stream.owed_since.get().is_none() {
            self.stream.owed_since.set(Some(Instant::now()));
        }
        if !self.listed {
            self.listed = true;
            self.debtors.0.borrow_mut().push(Rc::clone(&self.stream));
        }
    }

    /// There is room.
    pub(super) fn taken(&self) {
        if self.listed {
            self.stream.owed_since.set(None);
        }
    }
}

impl Drop for Owing {
    fn drop(&mut self) {
        if self.listed {
            self.debtors.0.borrow_mut().retain(|stream| !Rc::ptr_eq(stream, &self.stream));
        }
    }
}
