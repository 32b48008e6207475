//! Shared state behind traits named by what they keep; [`memory`] and [`redis`] implement them.
//!
//! Calls here are for cache misses and operations, never for each request, so a boxed future is no cost that counts.

pub mod memory;
pub mod redis;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::model::settings::StoreSettings;
use crate::model::{ApiKeyRecord, Clock, LogEntry, Observer, Principal, SessionRecord, Timestamp};

/// What a call returns.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why a call failed. No variant holds a password or a record.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It did not answer within the configured time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// There is no connection to it.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// It refused the call.
    #[error("refused: {0}")]
    Refused(String),
    /// A record in it is not as it must be.
    #[error("record `{key}` is damaged: {problem}")]
    Damaged {
        /// Where.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// It cannot be used as it is configured.
    #[error("{0}")]
    Misconfigured(String),
}

/// Sessions, found by the SHA-256 of the cookie's secret.
pub trait Sessions: Send + Sync {
    /// Keeps a new session until it ends.
    fn create<'a>(&'a self, secret_sha256: &'a [u8; 32], record: &'a SessionRecord) -> Reply<'a, ()>;
    /// The session of this secret, unless it has ended.
    fn find<'a>(&'a self, secret_sha256: &'a [u8; 32], now: Timestamp) -> Reply<'a, Option<SessionRecord>>;
    /// Notes a use. Updates an existing record only: it never brings a session back. Says whether there was one.
    fn touch<'a>(&'a self, secret_sha256: &'a [u8; 32], at: Timestamp) -> Reply<'a, bool>;
    /// All live sessions, or those of one principal, oldest first.
    fn list<'a>(&'a self, of: Option<&'a Principal>, now: Timestamp) -> Reply<'a, Vec<SessionRecord>>;
    /// Ends a session by its public id; returns what it was.
    fn remove<'a>(&'a self, id: &'a str) -> Reply<'a, Option<SessionRecord>>;
}

/// API keys, found by their public id.
pub trait ApiKeys: Send + Sync {
    /// Keeps a new key.
    fn create<'a>(&'a self, record: &'a ApiKeyRecord) -> Reply<'a, ()>;
    /// The key of this id, revoked or expired ones included.
    fn find<'a>(&'a self, id: &'a str) -> Reply<'a, Option<ApiKeyRecord>>;
    /// All keys, oldest first.
    fn list(&self) -> Reply<'_, Vec<ApiKeyRecord>>;
    /// Marks a key as revoked; returns it as it is now, or `None` where there is none.
    fn revoke<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, Option<ApiKeyRecord>>;
    /// Notes a use of an existing key.
    fn touch<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, ()>;
}

/// A place in the revocation log: its run, and the id within it. Ids of one run are ordered; runs are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Which life of the log this is; a store that lost its data has another.
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
    /// Waits at most `wait` for what comes after `after`.
    fn follow<'a>(&'a self, after: &'a Position, wait: Duration) -> Reply<'a, Followed>;
    /// Writes a heartbeat; whoever reads it back knows that he reads the log as it is now.
    fn beat(&self) -> Reply<'_, Position>;
}

/// One handle to a store. Redis: one connection, driven by the runtime that first uses it.
#[derive(Clone)]
pub struct Store {
    /// Sessions.
    pub sessions: Arc<dyn Sessions>,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeys>,
    /// The revocation log.
    pub log: Arc<dyn RevocationLog>,
}

impl Store {
    /// Opens the store that the settings name. A file that cannot be read is an error; a Redis that cannot be reached
    /// is not: calls fail until it can.
    pub fn open(
        settings: &StoreSettings,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let _ = (settings, clock, observer);
        todo!()
    }

    /// Asks whether the store answers and may be used: an evicting `maxmemory-policy` is [`StoreError::Misconfigured`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Ends a session everywhere: first the log, then the record. `None` where there is no such session.
    pub async fn revoke_session(&self, id: &str, now: Timestamp) -> Result<Option<SessionRecord>, StoreError> {
        let _ = (id, now);
        todo!()
    }

    /// Revokes an API key everywhere. `None` where there is no such key.
    pub async fn revoke_api_key(&self, id: &str, now: Timestamp) -> Result<Option<ApiKeyRecord>, StoreError> {
        let _ = (id, now);
        todo!()
    }
}
