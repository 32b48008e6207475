//! The revocation log in memory.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::state::State;
use crate::model::{LogEntry, Timestamp};
use crate::store::{Followed, Position, Replay, Reply, RevocationLog};

/// What one answer holds at most; the rest comes with the next.
const ENTRIES_AT_ONCE: usize = 1000;

impl RevocationLog for Shared {
    fn append<'a>(&'a self, entry: &'a LogEntry) -> Reply<'a, Position> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let changed = self.change(|state| {
                state.add_live(entry);
                let position = state.announce(Some(entry.clone()), now);
                // In force at once, whatever becomes of the file.
                self.0.announced.notify_waiters();
                position
            });
            changed.await
        })
    }

    fn replay(&self, now: Timestamp) -> Reply<'_, Replay> {
        Box::pin(async move {
            let state = self.0.state();
            let live = state.live.iter().filter(|(_, until)| **until > now);
            Ok(Replay {
                position: state.position(),
                entries: live.map(|(what, until)| LogEntry { what: what.clone(), until: *until }).collect(),
            })
        })
    }

    fn follow<'a>(&'a self, after: &'a Position, wait: Duration) -> Reply<'a, Followed> {
        Box::pin(async move {
            let deadline = Instant::now() + wait;
            loop {
                let announced = self.0.announced.notified();
                tokio::pin!(announced);
                // Counted as waiting from here on, so that nothing is announced between the look and the wait.
                announced.as_mut().enable();
                if let Some(followed) = read(&self.0.state(), after) {
                    return Ok(followed);
                }
                if timeout_at(deadline, announced).await.is_err() {
                    return Ok(Followed::Entries { position: after.clone(), entries: Vec::new() });
                }
            }
        })
    }

    fn beat(&self) -> Reply<'_, Position> {
        Box::pin(async move {
            let position = self.0.state().announce(None, self.0.clock.now());
            self.0.announced.notify_waiters();
            Ok(position)
        })
    }
}

/// What is in the log after `after`; `None` where nothing is.
fn read(state: &State, after: &Position) -> Option<Followed> {
    if !state.reaches_back_to(after) {
        return Some(Followed::Gap);
    }
    let from = state.log.partition_point(|(id, _)| *id <= after.id);
    let mut new = state.log.iter().skip(from).take(ENTRIES_AT_ONCE).peekable();
    new.peek()?;
    let mut position = after.clone();
    let mut entries = Vec::new();
    for (id, entry) in new {
        position.id = *id;
        entries.extend(entry.clone());
    }
    Some(Followed::Entries { position, entries })
}
