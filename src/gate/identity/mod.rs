//! Stage 4: verify, from the cache, from keys, or from the store.

use std::sync::Arc;

use super::Shared;
use super::credential::Presented;
use crate::model::settings::Settings;
use crate::model::{Client, Denial, Timestamp, Verified};
use crate::store::Store;

/// Verified credentials, by the digest of what was presented. Holds facts about credentials, never decisions.
pub struct Cache {}

impl Cache {
    /// Of at most `capacity` credentials.
    pub fn new(capacity: u64) -> Self {
        let _ = capacity;
        todo!()
    }
    /// How many there are, about.
    pub fn len(&self) -> u64 {
        todo!()
    }
    /// Whether there are none, about.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Forgets all.
    pub fn clear(&self) {
        todo!()
    }
}

/// Turns what was presented into what it proves.
pub struct Identities {}

impl Identities {
    /// With the verifiers that the settings name.
    pub fn new(settings: &Settings, shared: Arc<Shared>, store: Store) -> Self {
        let _ = (settings, shared, store);
        todo!()
    }

    /// Verifies what was presented; cached or not, time, key, networks and certificate binding are checked each time.
    /// Revocation and what the route accepts are for the stages after.
    pub async fn resolve(
        &self,
        presented: Presented<'_>,
        client: &Client,
        now: Timestamp,
    ) -> Result<Arc<Verified>, Denial> {
        let _ = (presented, client, now);
        todo!()
    }
}
