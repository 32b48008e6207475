//! Revoking what Portcullis itself issued: the log first, because it is what every instance obeys.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::{Store, StoreError};
use crate::model::{ApiKeyRecord, LogEntry, Principal, Revocation, SessionRecord, Timestamp};

/// How long an entry outlives the credential, for clocks that disagree.
pub const MARGIN: Duration = Duration::from_secs(60);

/// Records are removed so many at a time.
const REMOVED_AT_ONCE: usize = 64;

/// Why a revocation is not complete. Calling again is safe.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RevokeError {
    /// The log may not have it: what was to be revoked may still be valid.
    #[error("{0}; it may still be valid: call again, which is safe")]
    NotInForce(#[source] StoreError),
    /// The log has it, so that it is refused everywhere; its record is still there.
    #[error("{0}; it is refused everywhere, but its record is still there: call again, which is safe")]
    RecordLeft(#[source] StoreError),
}

impl Store {
    /// Ends a session everywhere: first the log, then the record. `None` where there is no such session.
    pub async fn revoke_session(&self, id: &str, now: Timestamp) -> Result<Option<SessionRecord>, RevokeError> {
        let found = self.sessions.find_by_id(id, now).await.map_err(RevokeError::NotInForce)?;
        let Some(found) = found else { return Ok(None) };
        // A touch can move the idle end, never the absolute one.
        let what = Revocation::Session { id: Arc::clone(&found.id) };
        self.revoke(what, found.expires_at.after(MARGIN)).await?;
        let removed = self.sessions.remove(id).await.map_err(RevokeError::RecordLeft)?;
        Ok(Some(removed.unwrap_or(found)))
    }

    /// Revokes an API key everywhere. `None` where there is no such key.
    pub async fn revoke_api_key(&self, id: &str, now: Timestamp) -> Result<Option<ApiKeyRecord>, RevokeError> {
        let found = self.api_keys.find(id).await.map_err(RevokeError::NotInForce)?;
        let Some(found) = found else { return Ok(None) };
        let what = Revocation::ApiKey { id: Arc::clone(&found.id) };
        self.revoke(what, found.expires_at.map_or(Timestamp::NEVER, |end| end.after(MARGIN))).await?;
        self.api_keys.revoke(id, now).await.map_err(RevokeError::RecordLeft)
    }

    /// Ends all sessions of a principal everywhere; those that begin from now on are none of them. `longest` is how long
    /// a session can last at most. Returns the entry of the log, and how many records there were.
    pub async fn end_sessions(
        &self,
        of: &Principal,
        longest: Duration,
        now: Timestamp,
    ) -> Result<(LogEntry, usize), RevokeError> {
        let until = now.after(longest).after(MARGIN);
        let generation = self.sessions.next_generation(of, until).await.map_err(RevokeError::NotInForce)?;
        self.end_sessions_below(of, generation, until, now).await
    }

    /// The same, but only those that began before a time (generations are times).
    pub async fn end_sessions_before(
        &self,
        of: &Principal,
        before: Timestamp,
        longest: Duration,
        now: Timestamp,
    ) -> Result<(LogEntry, usize), RevokeError> {
        self.end_sessions_below(of, before.0, now.after(longest).after(MARGIN), now).await
    }

    async fn end_sessions_below(
        &self,
        of: &Principal,
        generation: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(LogEntry, usize), RevokeError> {
        let mut ended = self.sessions.list(Some(of), now).await.map_err(RevokeError::NotInForce)?;
        ended.retain(|record| record.generation < generation);
        // Those made when they could last longer.
        let until = ended.iter().map(|record| record.expires_at.after(MARGIN)).fold(until, Timestamp::max);
        let entry = self.revoke(Revocation::Sessions { principal: of.clone(), generation }, until).await?;
        for some in ended.chunks(REMOVED_AT_ONCE) {
            let removals = some.iter().map(|record| self.sessions.remove(&record.id));
            try_join_all(removals).await.map_err(RevokeError::RecordLeft)?;
        }
        Ok((entry, ended.len()))
    }

    /// Writes one entry to the log: in force everywhere once each instance has read it.
    pub async fn revoke(&self, what: Revocation, until: Timestamp) -> Result<LogEntry, RevokeError> {
        let entry = LogEntry { what, until };
        self.log.append(&entry).await.map_err(RevokeError::NotInForce)?;
        Ok(entry)
    }
}
