//! No application keeps its sessions in our memory.

use super::Shared;
use crate::store::{ForeignRecord, ForeignSessions, RecordKind, Reply, StoreError};

impl ForeignSessions for Shared {
    fn read<'a>(&'a self, _: &'a str, _: RecordKind, _: usize) -> Reply<'a, ForeignRecord> {
        let problem = "the application's sessions are in Redis, and `store.url` is `memory:`";
        Box::pin(async move { Err(StoreError::Misconfigured(problem.into())) })
    }
}
