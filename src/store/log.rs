//! What a store does for the revocation log.

use std::sync::Arc;
use std::time::Duration;

use super::Reply;
use crate::model::{LogEntry, Timestamp};

/// How long the log itself is kept. The live set is kept until its entries expire.
pub(super) const KEPT: Duration = Duration::from_secs(60 * 60);

/// A place in the revocation log: its run, and the id within it. Ids of one run are ordered; runs are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Which life of the log this is; a store that lost its data, and one that was started anew, has another.
    pub run: Arc<str>,
    /// Milliseconds and sequence, as a Redis stream numbers its entries.
    pub id: (u64, u64),
}

/// The live set, and the place from which to follow so that nothing is missed.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Taken before the set was read.
    pub position: Position,
    /// All entries that have not expired.
    pub entries: Vec<LogEntry>,
}

/// What came after a place.
#[derive(Debug, Clone)]
pub enum Followed {
    /// These, in order, perhaps none; `position` is the place after them, heartbeats counted.
    Entries {
        /// Where to go on.
        position: Position,
        /// What was announced.
        entries: Vec<LogEntry>,
    },
    /// The place is not in the log any more (trimmed, another run, lower ids): replay.
    Gap,
}

/// The ordered, replayable record of what is no longer valid.
pub trait RevocationLog: Send + Sync {
    /// Adds an entry to the live set and announces it; returns once the store has it.
    fn append<'a>(&'a self, entry: &'a LogEntry) -> Reply<'a, Position>;
    /// The live set.
    fn replay(&self, now: Timestamp) -> Reply<'_, Replay>;
    /// Waits at most `wait` for what comes after `after`; heartbeats end the wait too. An error comes at once where
    /// the store cannot be reached: callers in a loop must pause.
    fn follow<'a>(&'a self, after: &'a Position, wait: Duration) -> Reply<'a, Followed>;
    /// Writes a heartbeat; whoever reads it back knows that he reads the log as it is now.
    fn beat(&self) -> Reply<'_, Position>;
}
