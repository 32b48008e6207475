//! Telling connections to finish, and knowing when they have.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::model::Observer;

/// Tells connections to finish. Cloned to every worker.
#[derive(Debug, Clone, Default)]
pub struct Drain(CancellationToken);

/// How connections are asked to finish.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Farewell {
    /// They are not.
    #[default]
    None,
    /// The next answer is the last; a client that says nothing for now is waited for. So nobody sends a request into a
    /// connection that is being closed: HTTP/2 has GOAWAY for that, HTTP/1 nothing else.
    Patient,
    /// What is idle ends at once.
    Prompt,
}

impl Drain {
    /// Not draining.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stop accepting; ask connections to end after the request in flight (`Connection: close`, GOAWAY).
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Begins when this one does, and takes no lock of this one's until then: for one worker.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Whether it has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until draining begins.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}

/// The connections of one worker that can be asked to finish. A connection looks at a flag of its own core each time
/// it is polled, so that draining costs nothing until it happens.
#[derive(Debug, Default)]
pub(super) struct Roster {
    farewell: Cell<Farewell>,
    last_id: Cell<u64>,
    wakers: RefCell<HashMap<u64, Waker>>,
}

impl Roster {
    /// Adds the connection whose task has this waker.
    pub(super) fn enter(self: &Rc<Self>, waker: &Waker) -> Entry {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        self.wakers.borrow_mut().insert(id, waker.clone());
        Entry { roster: Rc::clone(self), id }
    }

    /// How they are asked to finish.
    pub(super) fn farewell(&self) -> Farewell {
        self.farewell.get()
    }

    /// Asks all of them to finish, and all that come later.
    pub(super) fn drain(&self, how: Farewell) {
        if self.farewell.get() >= how {
            return;
        }
        self.farewell.set(how);
        // Collected first: waking may run code that enters or leaves.
        let wakers: Vec<Waker> = self.wakers.borrow().values().cloned().collect();
        wakers.iter().for_each(Waker::wake_by_ref);
    }
}

/// A place in the roster, until dropped.
#[derive(Debug)]
pub(super) struct Entry {
    roster: Rc<Roster>,
    id: u64,
}

impl Entry {
    pub(super) fn farewell(&self) -> Farewell {
        self.roster.farewell()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.roster.wakers.borrow_mut().remove(&self.id);
    }
}

/// How many connections one worker has, those included that speak another protocol by now.
#[derive(Debug, Default)]
pub(super) struct Census {
    open: AtomicUsize,
    ended: Notify,
}

impl Census {
    /// Waits until there is none.
    pub(super) async fn empty(&self) {
        loop {
            let ended = self.ended.notified();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}

/// One connection is counted until this is dropped: in its worker, and against its listener's cap.
pub(super) struct Counted {
    listener: Arc<AtomicUsize>,
    worker: Arc<Census>,
    observer: Arc<dyn Observer>,
}

impl Counted {
    /// Counts one more; `None` where the listener has `most` already.
    pub(super) fn new(
        listener: &Arc<AtomicUsize>,
        most: usize,
        worker: &Arc<Census>,
        observer: &Arc<dyn Observer>,
    ) -> Option<Self> {
        if listener.fetch_add(1, Ordering::AcqRel) >= most {
            listener.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        worker.open.fetch_add(1, Ordering::AcqRel);
        observer.connection(1);
        Some(Self { listener: Arc::clone(listener), worker: Arc::clone(worker), observer: Arc::clone(observer) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.listener.fetch_sub(1, Ordering::AcqRel);
        self.observer.connection(-1);
        if self.worker.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.worker.ended.notify_waiters();
        }
    }
}

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}
