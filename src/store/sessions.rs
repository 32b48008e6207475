//! What a store does for sessions.

use super::Reply;
use crate::model::{Principal, SessionRecord, Timestamp};

/// Sessions, found by the SHA-256 of the cookie's secret.
pub trait Sessions: Send + Sync {
    /// Keeps a new session until it ends. One whose secret or id is taken is refused.
    fn create<'a>(&'a self, secret_sha256: &'a [u8; 32], record: &'a SessionRecord) -> Reply<'a, ()>;
    /// The session of this secret, unless it has ended.
    fn find<'a>(&'a self, secret_sha256: &'a [u8; 32], now: Timestamp) -> Reply<'a, Option<SessionRecord>>;
    /// The session of this public id, unless it has ended.
    fn find_by_id<'a>(&'a self, id: &'a str, now: Timestamp) -> Reply<'a, Option<SessionRecord>>;
    /// Notes a use. Updates an existing record only: it never brings a session back. Says whether there was one.
    fn touch<'a>(&'a self, secret_sha256: &'a [u8; 32], at: Timestamp) -> Reply<'a, bool>;
    /// All live sessions, or those of one principal, oldest first.
    fn list<'a>(&'a self, of: Option<&'a Principal>, now: Timestamp) -> Reply<'a, Vec<SessionRecord>>;
    /// Ends a session by its public id; returns what it was.
    fn remove<'a>(&'a self, id: &'a str) -> Reply<'a, Option<SessionRecord>>;
}
