//! What a store does for API keys.

use super::Reply;
use crate::model::{ApiKeyRecord, Timestamp};

/// API keys, found by their public id.
pub trait ApiKeys: Send + Sync {
    /// Keeps a new key. One whose id is taken is refused.
    fn create<'a>(&'a self, record: &'a ApiKeyRecord) -> Reply<'a, ()>;
    /// The key of this id, revoked or expired ones included.
    fn find<'a>(&'a self, id: &'a str) -> Reply<'a, Option<ApiKeyRecord>>;
    /// All keys, oldest first.
    fn list(&self) -> Reply<'_, Vec<ApiKeyRecord>>;
    /// Marks a key as revoked; returns it as it is now, or `None` where there is none. The first time stays.
    fn revoke<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, Option<ApiKeyRecord>>;
    /// Notes a use of an existing key.
    fn touch<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, ()>;
}
