//! Revoking what Portcullis itself issued: the log first, because it is what every instance obeys.

use std::sync::Arc;
use std::time::Duration;

use super::{Store, StoreError};
use crate::model::{ApiKeyRecord, LogEntry, Revocation, SessionRecord, Timestamp};

/// How long an entry outlives the credential, for clocks that disagree.
const MARGIN: Duration = Duration::from_secs(60);

impl Store {
    /// Ends a session everywhere: first the log, then the record. `None` where there is no such session.
    ///
    /// An error means that it may still be valid: the caller must say so. Calling again is safe.
    pub async fn revoke_session(&self, id: &str, now: Timestamp) -> Result<Option<SessionRecord>, StoreError> {
        let Some(found) = self.sessions.find_by_id(id, now).await? else { return Ok(None) };
        let entry = LogEntry {
            what: Revocation::Session { id: Arc::clone(&found.id) },
            // A touch can move the idle end, never the absolute one.
            until: found.expires_at.after(MARGIN),
        };
        self.log.append(&entry).await?;
        Ok(Some(self.sessions.remove(id).await?.unwrap_or(found)))
    }

    /// Revokes an API key everywhere. `None` where there is no such key.
    ///
    /// An error means that it may still be valid: the caller must say so. Calling again is safe.
    pub async fn revoke_api_key(&self, id: &str, now: Timestamp) -> Result<Option<ApiKeyRecord>, StoreError> {
        let Some(found) = self.api_keys.find(id).await? else { return Ok(None) };
        let entry = LogEntry {
            what: Revocation::ApiKey { id: Arc::clone(&found.id) },
            until: found.expires_at.map_or(Timestamp::NEVER, |end| end.after(MARGIN)),
        };
        self.log.append(&entry).await?;
        self.api_keys.revoke(id, now).await
    }
}
