//! Sessions in memory.

use std::time::Duration;

use super::Shared;
use crate::model::{Principal, SessionRecord, Timestamp};
use crate::store::{Reply, Sessions, StoreError};

/// Uses are written to the file at most this often.
pub(super) const USES_WRITTEN_EVERY: Duration = Duration::from_secs(10);

impl Sessions for Shared {
    fn create<'a>(&'a self, secret_sha256: &'a [u8; 32], record: &'a SessionRecord) -> Reply<'a, u64> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let added = self.change(|state| {
                let generation = match record.generation {
                    0 => state.generations.current(&record.principal, now),
                    own => own,
                };
                let record = SessionRecord { generation, ..record.clone() };
                state.add_session(*secret_sha256, record).then_some(generation)
            });
            added.await?.ok_or_else(|| StoreError::Refused("there is such a session already".into()))
        })
    }

    fn next_generation<'a>(&'a self, of: &'a Principal, until: Timestamp) -> Reply<'a, u64> {
        Box::pin(async move {
            let now = self.0.clock.now();
            self.change(|state| {
                let generation = state.generations.current(of, now).saturating_add(1);
                state.generations.raise(of, generation, until);
                generation
            })
            .await
        })
    }

    fn find<'a>(&'a self, secret_sha256: &'a [u8; 32], now: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        Box::pin(async move {
            let state = self.0.state();
            Ok(state.sessions.get(secret_sha256).filter(|record| record.ends_at() > now).cloned())
        })
    }

    fn find_by_id<'a>(&'a self, id: &'a str, now: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        Box::pin(async move {
            let state = self.0.state();
            let record = state.session_ids.get(id).and_then(|digest| state.sessions.get(digest));
            Ok(record.filter(|record| record.ends_at() > now).cloned())
        })
    }

    fn touch<'a>(&'a self, secret_sha256: &'a [u8; 32], at: Timestamp) -> Reply<'a, bool> {
        Box::pin(async move {
            self.change_lazily(USES_WRITTEN_EVERY, |state| match state.sessions.get_mut(secret_sha256) {
                Some(record) if record.ends_at() > at => {
                    record.seen_at = record.seen_at.max(at);
                    true
                }
                _ => false,
            })
            .await
        })
    }

    fn list<'a>(&'a self, of: Option<&'a Principal>, now: Timestamp) -> Reply<'a, Vec<SessionRecord>> {
        Box::pin(async move {
            let mut found: Vec<_> = {
                let state = self.0.state();
                let wanted = |record: &&SessionRecord| {
                    record.ends_at() > now && of.is_none_or(|principal| record.principal == *principal)
                };
                state.sessions.values().filter(wanted).cloned().collect()
            };
            found.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            Ok(found)
        })
    }

    fn remove<'a>(&'a self, id: &'a str) -> Reply<'a, Option<SessionRecord>> {
        Box::pin(async move {
            self.change(|state| {
                let digest = *state.session_ids.get(id)?;
                state.remove_session(&digest)
            })
            .await
        })
    }
}
