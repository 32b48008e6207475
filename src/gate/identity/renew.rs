//! When a session or an API key ends, read again without its secret.

use super::{Identities, unavailable};
use crate::model::denial::Reason;
use crate::model::{CredentialKind, Denial, Timestamp, Verified};

impl Identities {
    /// When it ends by its record now; of other kinds, which have none, what they have always said.
    pub(in crate::gate) async fn renew(&self, verified: &Verified, now: Timestamp) -> Result<Timestamp, Denial> {
        let id = &*verified.credential_id;
        match verified.kind {
            CredentialKind::Session => {
                let record = self.store.sessions.find_by_id(id, now).await.map_err(unavailable)?;
                let ends = record.map(|record| record.ends_at()).filter(|ends| *ends > now);
                ends.ok_or_else(|| Denial::because(Reason::SessionExpired, format!("session {id:?} has ended")))
            }
            CredentialKind::ApiKey => {
                let record = self.store.api_keys.find(id).await.map_err(unavailable)?;
                let gone = |reason| Denial::because(reason, format!("key {id:?} is not what it was"));
                let record = record.ok_or_else(|| gone(Reason::ApiKeyUnknown))?;
                if record.revoked_at.is_some() {
                    return Err(gone(Reason::Revoked));
                }
                let ends = record.expires_at.unwrap_or(Timestamp::NEVER);
                if ends > now { Ok(ends) } else { Err(gone(Reason::ApiKeyExpired)) }
            }
            CredentialKind::Jwt | CredentialKind::Opaque | CredentialKind::Basic | CredentialKind::Mtls => {
                Ok(verified.expires_at)
            }
        }
    }
}
