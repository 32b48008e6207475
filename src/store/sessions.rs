//! What a store does for sessions.

use super::Reply;
use crate::model::{Principal, SessionRecord, Timestamp};

/// Sessions, found by the SHA-256 of the cookie's secret.
///
/// # Generations
/// All sessions of a principal end by one entry of the revocation log, which revokes every *generation* of them below
/// its own. Two things must never happen: that a new session is born below an entry that still lives, and that an old
/// one is found above it. A plain counter cannot promise that: it can be lost (a failover, an eviction, a store that
/// came back empty) while the entry lives on in the instances, and would begin again from nothing. So a generation is a
/// time, in milliseconds of the store's own clock:
/// - a new session gets the present time, or what the principal's counter says where that is more;
/// - ending raises the counter above both, so that every session so far is below it and every later one is not;
/// - each creation notes its generation in the counter, so that a clock that was set back takes no effect;
/// - whoever writes an entry to the log, an instance that restores it after a loss included, raises the counter to it
///   in the same step, so that it is never below what a live entry says;
/// - where the counter is lost nonetheless, the time has gone on since: what is made now lies above the entry, what was
///   made before it lies below it still. Lost *and* the clock set back: new sessions are refused until the clock has
///   caught up. That fails closed.
///
/// The counter lives as long as the longest session, or the longest entry, that it was raised for.
pub trait Sessions: Send + Sync {
    /// Keeps a new session until it ends. One whose secret or id is taken is refused. Returns its generation: the
    /// present one, unless the record has one: a session that goes on under another secret is no newer for it.
    fn create<'a>(&'a self, secret_sha256: &'a [u8; 32], record: &'a SessionRecord) -> Reply<'a, u64>;
    /// Begins a new generation and returns it: every session so far is below it. Kept until `until` at least.
    fn next_generation<'a>(&'a self, of: &'a Principal, until: Timestamp) -> Reply<'a, u64>;
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
