//! Exchanges that rest on a credential, for as long as they go on: whose credential ends, ends with it.
//!
//! Each worker keeps its own list. A request whose credential counted is on it from the moment that it is sent on until
//! its answer and its body are done; one task ([`mod@watch`]) looks at the list when the revocation log says something and
//! when a credential ends, marks what is over, and wakes whoever serves it. Nothing of it is shared between cores.

mod entries;
mod frames;
mod tunnel;
mod upload;
mod watch;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures_util::future::poll_fn;
use tokio::sync::Notify;

use self::entries::{Entries, Entry};
use crate::edge::Hangup;
use crate::gate::permit::Answer;
use crate::model::denial::Reason;
use crate::model::settings::StreamGrace;
use crate::model::{DecisionId, Denial, Timestamp};

pub(super) use self::tunnel::carry;
pub(super) use self::upload::Upload;
pub(super) use self::watch::watch;

/// All of one worker that a credential keeps going.
pub(super) struct Live {
    entries: RefCell<Entries>,
    /// When the watcher will look again; an exchange that ends before must tell it, and so must the first one.
    armed: Cell<Timestamp>,
    /// The earliest end of those that came since it last looked.
    soonest: Cell<Timestamp>,
    sooner: Notify,
    /// Whether nothing is added any more.
    retired: Cell<bool>,
}

/// What a proxy holds of its list: when it is dropped, the list ends with what is still on it.
pub(super) struct Watched(pub(super) Rc<Live>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.retired.set(true);
        self.0.sooner.notify_one();
    }
}

/// There is nothing to look at.
const NOTHING: Timestamp = Timestamp::NEVER;

/// The watcher looks, or is about to.
const AT_ONCE: Timestamp = Timestamp(0);

impl Live {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            entries: RefCell::default(),
            armed: Cell::new(NOTHING),
            soonest: Cell::new(Timestamp::NEVER),
            sooner: Notify::new(),
            retired: Cell::new(false),
        })
    }

    /// Whether there is nothing on it, and never will be.
    fn is_over(&self) -> bool {
        self.retired.get() && self.entries.borrow().len() == 0
    }

    /// Puts an exchange on the list that has just been permitted. To be called before anything is awaited: a revocation
    /// that the gate has not seen is then one that the watcher has still to look at. `None`: nothing can end it.
    pub(super) fn hold(self: &Rc<Self>, answer: &Answer, id: DecisionId, hangup: Hangup) -> Option<Hold> {
        let StreamGrace::For(grace) = answer.route.stream_grace else { return None };
        let entry = Entry::new(answer.tenure()?, answer.route.clone(), grace, id, hangup);
        let ends_at = entry.tenure.ends_at();
        if ends_at < self.soonest.get() {
            self.soonest.set(ends_at);
        }
        let armed = self.armed.get();
        if ends_at < armed || armed == NOTHING {
            self.armed.set(AT_ONCE);
            self.sooner.notify_one();
        }
        let slot = self.entries.borrow_mut().insert(entry);
        Some(Hold { live: Rc::clone(self), slot })
    }
}

/// A place on the list, until its last clone is dropped.
pub(super) struct Hold {
    live: Rc<Live>,
    slot: u32,
}

impl Hold {
    /// Why it is over, once it is.
    pub(super) fn ended(&self) -> Option<Reason> {
        self.live.entries.borrow().at(self.slot).and_then(|entry| entry.verdict)
    }

    /// Wakes this when it is over, for who serves the answer.
    pub(super) fn wake_answer(&self, waker: &Waker) {
        self.with(|entry| remember(&mut entry.answer, waker));
    }

    /// Wakes this when it is over, for who reads the request's body.
    pub(super) fn wake_upload(&self, waker: &Waker) {
        self.with(|entry| remember(&mut entry.upload, waker));
    }

    /// From here on it ends itself, without being hung up on.
    pub(super) fn ends_itself(&self) {
        self.with(|entry| entry.ends_itself = true);
    }

    /// Ends its connection without another word.
    pub(super) fn hang_up(&self) {
        let hangup = self.live.entries.borrow_mut().at_mut(self.slot).and_then(|entry| entry.hangup.take());
        hangup.iter().for_each(Hangup::hang_up);
    }

    fn with(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.live.entries.borrow_mut().at_mut(self.slot) {
            change(entry);
        }
    }
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        self.with(|entry| entry.holders += 1);
        Self { live: Rc::clone(&self.live), slot: self.slot }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Dropped after the list is let go of: what an entry holds may run code that comes back here.
        let last = self.live.entries.borrow_mut().release(self.slot);
        drop(last);
        if self.live.is_over() {
            self.live.sooner.notify_one();
        }
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hold({})", self.slot)
    }
}

fn remember(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(known) => known.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}

/// Awaits something that is given up when the exchange is over.
pub(super) async fn unless_ended<F: Future>(hold: Option<&Hold>, future: F) -> Result<F::Output, Denial> {
    let Some(hold) = hold else { return Ok(future.await) };
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        if let Some(reason) = hold.ended() {
            return Poll::Ready(Err(Denial::because(reason, "while its answer was awaited")));
        }
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => {
                hold.wake_answer(cx.waker());
                Poll::Pending
            }
        }
    })
    .await
}

/// What a body says that breaks off because its credential has ended.
#[derive(Debug, thiserror::Error)]
#[error("the credential counts no more: {}", .0.row().label)]
pub(super) struct Ended(pub(super) Reason);

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
