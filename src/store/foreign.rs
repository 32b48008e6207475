//! What a store does for sessions that the application itself keeps: reading the record of one key, and nothing else.

use std::time::Duration;

use super::Reply;

/// Records that an application wrote. They are read, never written, listed or searched for.
pub trait ForeignSessions: Send + Sync {
    /// What stands under this key; of records larger than `most` bytes nothing is transferred. Whatever comes from a
    /// client must have been held to its alphabet before it becomes a part of a key.
    fn read<'a>(&'a self, key: &'a str, kind: RecordKind, most: usize) -> Reply<'a, ForeignRecord>;
}

/// How an application keeps a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// As one string.
    Text,
    /// As a hash.
    Hash,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignRecord {
    /// Nothing.
    Absent,
    /// Something, but of another type than was asked for.
    OtherType,
    /// More than was asked for.
    TooLarge,
    /// A record.
    There {
        /// Its value; of a hash names and values in turn.
        parts: Vec<Vec<u8>>,
        /// When the store forgets it; `None`: never.
        ends_in: Option<Duration>,
    },
}
