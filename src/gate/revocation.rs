//! Stage 5: the in-memory set of what is revoked, fed by the revocation log.

use std::time::Duration;

use super::Shared;
use crate::model::settings::OnStale;
use crate::model::{Denial, LogEntry, Timestamp, Verified};
use crate::store::Store;

/// What is revoked, and how fresh that knowledge is.
pub struct RevocationSet {}

impl RevocationSet {
    /// Empty, and stale until the first replay.
    pub fn new(max_staleness: Duration) -> Self {
        let _ = max_staleness;
        todo!()
    }
    /// Refuses what is revoked; and, where what we know is older than `max_staleness`, what `on_stale` says.
    pub fn check(&self, identity: &Verified, on_stale: OnStale, now: Timestamp) -> Result<(), Denial> {
        let _ = (identity, on_stale, now);
        todo!()
    }
    /// Puts the live set in place of what was known.
    pub fn replace(&self, entries: Vec<LogEntry>, now: Timestamp) {
        let _ = (entries, now);
        todo!()
    }
    /// Adds entries.
    pub fn add(&self, entries: &[LogEntry]) {
        let _ = entries;
        todo!()
    }
    /// Notes that all that was written before `at` has been read.
    pub fn fresh_as_of(&self, at: Timestamp) {
        let _ = at;
        todo!()
    }
    /// How old what we know is; `None` before the first replay.
    pub fn staleness(&self, now: Timestamp) -> Option<Duration> {
        let _ = now;
        todo!()
    }
    /// How many entries live.
    pub fn len(&self) -> usize {
        todo!()
    }
    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Follows the log until dropped: replays, reads on, writes heartbeats and reads them back, replays after a gap.
pub async fn follow(shared: &Shared, store: &Store) {
    let _ = (shared, store);
    todo!()
}
