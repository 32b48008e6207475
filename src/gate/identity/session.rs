//! Sessions: the cookie holds a secret, the store finds the record by its SHA-256.

use crate::crypto::session_secret;
use crate::model::denial::Reason;
use crate::model::{CredentialKind, Denial, SessionRecord, Timestamp, Verified};
use crate::store::Store;

use super::touch::Touch;

/// What the store knows of the session of this cookie value.
pub(super) async fn verify(store: Store, cookie: String, now: Timestamp) -> Result<(Verified, Option<Touch>), Denial> {
    let Some(secret_sha256) = session_secret::parse(&cookie) else {
        return Err(Denial::because(Reason::SessionUnknown, "the cookie is not of the form of a session's secret"));
    };
    let record = store.sessions.find(&secret_sha256, now).await.map_err(super::unavailable)?;
    let Some(record) = record else {
        return Err(Denial::because(Reason::SessionUnknown, "no session of this secret, or it has ended"));
    };
    if record.ends_at() <= now {
        return Err(Denial::because(Reason::SessionExpired, format!("session {:?} has ended", record.id)));
    }
    let touch = Touch::of_session(&record);
    Ok((identity(record), Some(touch)))
}

/// Notes a use. Says whether the session is still there; where the store does not answer, that is left to the next read.
pub(super) async fn touch(store: Store, cookie: String, now: Timestamp) -> bool {
    let Some(secret_sha256) = session_secret::parse(&cookie) else { return false };
    store.sessions.touch(&secret_sha256, now).await.unwrap_or(true)
}

fn identity(record: SessionRecord) -> Verified {
    let expires_at = record.ends_at();
    let text = |name| record.attributes.get(name).and_then(|value| value.as_str()).map(Into::into);
    Verified {
        email: text("email"),
        name: text("name"),
        roles: super::sorted(record.roles),
        scopes: super::sorted(record.scopes),
        groups: super::sorted(record.groups),
        tenant: record.tenant,
        claims: record.attributes.into(),
        issued_at: Some(record.created_at),
        authenticated_at: Some(record.authenticated_at),
        acr: record.acr,
        amr: super::sorted(record.amr),
        generation: record.generation,
        ..Verified::new(record.principal, CredentialKind::Session, record.id, expires_at)
    }
}
