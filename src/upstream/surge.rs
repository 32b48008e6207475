//! Opening connections when many requests find none at rest: a few at a time, while the others wait for one that is given
//! back. One for each request would be opened just when there is least time for it, so that more requests wait, which
//! would need more connections still.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::address::Address;
use super::lease::{Lease, Wanted};
use super::pool::Pool;
use super::slot::Use;
use crate::model::Denial;

/// Connections of one worker to one endpoint that are being opened at a time, as long as nobody has waited for longer …
const AT_A_TIME: usize = 4;
/// … than this: an endpoint that is far away, or slow to answer, needs a connection for each request that it has.
const PATIENCE: Duration = Duration::from_millis(5);

/// Who waits for a connection, or opens one.
pub(super) struct Surge {
    dialing: Semaphore,
    returned: Notify,
    waiting: Cell<usize>,
    patience: Cell<Duration>,
}

impl Default for Surge {
    fn default() -> Self {
        Self {
            dialing: Semaphore::new(AT_A_TIME),
            returned: Notify::new(),
            waiting: Cell::new(0),
            patience: Cell::new(PATIENCE),
        }
    }
}

impl Surge {
    /// A connection is at rest.
    pub(super) fn returned(&self) {
        if self.waiting.get() > 0 {
            self.returned.notify_one();
        }
    }

    /// As if as many connections were being opened as are at a time.
    #[cfg(test)]
    pub(super) fn hold_all(&self, patience: Duration) -> SemaphorePermit<'_> {
        self.patience.set(patience);
        self.dialing.try_acquire_many(u32::try_from(AT_A_TIME).unwrap()).unwrap()
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.get()
    }
}

impl Pool {
    /// A connection of HTTP/1.1 for a request that has found none at rest: one that is given back, or a new one.
    pub(super) async fn lease_in_surge(
        self: &Rc<Self>,
        wanted: Wanted,
        order: &[Rc<Address>],
    ) -> Result<Lease, Denial> {
        let turn = match self.surge.dialing.try_acquire() {
            Ok(turn) => Some(turn),
            Err(_) if wanted.fresh => None,
            Err(_) => {
                // It is on its way there, for who counts what endpoints have to do.
                let _counted = (Use::new(self, order.first()), Waits::new(&self.surge.waiting));
                match tokio::time::timeout(self.surge.patience.get(), self.returned_or_turn(wanted, order)).await {
                    Ok(Ok(lease)) => return Ok(lease),
                    Ok(Err(turn)) => turn,
                    Err(_) => None,
                }
            }
        };
        let dialed = self.dial(wanted, order).await;
        drop(turn);
        dialed
    }

    async fn returned_or_turn(
        self: &Rc<Self>,
        wanted: Wanted,
        order: &[Rc<Address>],
    ) -> Result<Lease, Option<SemaphorePermit<'_>>> {
        loop {
            tokio::select! {
                biased;
                () = self.surge.returned.notified() => {
                    if let Some(lease) = self.kept(wanted, order.first()) {
                        return Ok(lease);
                    }
                }
                turn = self.surge.dialing.acquire() => return Err(turn.ok()),
            }
        }
    }
}

/// One who waits, until this is dropped.
struct Waits<'a>(&'a Cell<usize>);

impl<'a> Waits<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
