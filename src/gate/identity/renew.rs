//! When a session or an API key ends, read again without its secret.

use std::sync::Arc;

use super::{Identities, unavailable};
use crate::model::denial::Reason;
use crate::model::{CredentialKind, Denial, Secret, Timestamp, Verified};

impl Identities {
    /// Whether sessions are the application's, found by their cookie alone.
    pub(in crate::gate) const fn sessions_are_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    /// When the application's session of this cookie ends by its record now.
    pub(in crate::gate) async fn renew_foreign(
        &self,
        verified: &Verified,
        cookie: &Secret<String>,
        now: Timestamp,
    ) -> Result<Timestamp, Denial> {
        let Some(foreign) = &self.foreign else {
            return Err(Denial::because(Reason::Internal, "sessions are not the application's"));
        };
        let found = Arc::clone(foreign).verify(self.store.clone(), cookie.expose().clone(), now).await?.verified;
        if found.principal != verified.principal {
            return Err(Denial::because(Reason::SessionUnknown, "the session is somebody else's by now"));
        }
        Ok(found.expires_at)
    }

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
