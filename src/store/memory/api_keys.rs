//! API keys in memory.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::Shared;
use super::sessions::USES_WRITTEN_EVERY;
use crate::model::{ApiKeyRecord, Timestamp};
use crate::store::{ApiKeys, Reply, StoreError};

impl ApiKeys for Shared {
    fn create<'a>(&'a self, record: &'a ApiKeyRecord) -> Reply<'a, ()> {
        Box::pin(async move {
            let added = self
                .change(|state| match state.api_keys.entry(Arc::clone(&record.id)) {
                    Entry::Occupied(_) => false,
                    Entry::Vacant(free) => {
                        free.insert(record.clone());
                        true
                    }
                })
                .await?;
            if added { Ok(()) } else { Err(StoreError::Refused("there is such an API key already".into())) }
        })
    }

    fn find<'a>(&'a self, id: &'a str) -> Reply<'a, Option<ApiKeyRecord>> {
        Box::pin(async move { Ok(self.0.state().api_keys.get(id).cloned()) })
    }

    fn list(&self) -> Reply<'_, Vec<ApiKeyRecord>> {
        Box::pin(async move {
            let mut found: Vec<_> = self.0.state().api_keys.values().cloned().collect();
            found.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            Ok(found)
        })
    }

    fn revoke<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, Option<ApiKeyRecord>> {
        Box::pin(async move {
            self.change(|state| {
                let record = state.api_keys.get_mut(id)?;
                record.revoked_at.get_or_insert(at);
                Some(record.clone())
            })
            .await
        })
    }

    fn touch<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, ()> {
        Box::pin(async move {
            self.change_lazily(USES_WRITTEN_EVERY, |state| {
                if let Some(record) = state.api_keys.get_mut(id) {
                    record.used_at = record.used_at.max(Some(at));
                }
            })
            .await
        })
    }
}
