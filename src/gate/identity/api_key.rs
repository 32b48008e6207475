//! API keys: found by their public id, proved by a secret of which the store has the SHA-256.

use subtle::ConstantTimeEq;

use crate::crypto::api_key;
use crate::model::denial::Reason;
use crate::model::{ApiKeyRecord, CredentialKind, Denial, Timestamp, Verified};
use crate::store::Store;

use super::touch::Touch;

/// What the store knows of this key. That an id exists is told to nobody who does not have the secret.
pub(super) async fn verify(store: Store, text: String, now: Timestamp) -> Result<(Verified, Option<Touch>), Denial> {
    let Some(presented) = api_key::parse(&text) else {
        return Err(Denial::because(Reason::ApiKeyUnknown, "the form or the checksum is wrong"));
    };
    let record = store.api_keys.find(presented.id).await.map_err(super::unavailable)?;
    let Some(record) = record else {
        return Err(Denial::because(Reason::ApiKeyUnknown, format!("no key of id {:?}", presented.id)));
    };
    let proved: bool = record.secret_sha256.ct_eq(&presented.secret_sha256).into();
    if !proved {
        return Err(Denial::because(Reason::ApiKeyUnknown, format!("key {:?}: the secret is wrong", record.id)));
    }
    if record.revoked_at.is_some() {
        return Err(Denial::because(Reason::Revoked, format!("key {:?} is revoked", record.id)));
    }
    if record.expires_at.is_some_and(|ends| ends <= now) {
        return Err(Denial::because(Reason::ApiKeyExpired, format!("key {:?} has expired", record.id)));
    }
    let touch = Touch::of_key(record.used_at);
    Ok((identity(record), Some(touch)))
}

fn identity(record: ApiKeyRecord) -> Verified {
    Verified {
        roles: super::sorted(record.roles),
        scopes: super::sorted(record.scopes),
        groups: super::sorted(record.groups),
        tenant: record.tenant,
        name: record.label,
        claims: Default::default(),
        issued_at: Some(record.created_at),
        networks: record.networks,
        ..Verified::new(
            record.principal,
            CredentialKind::ApiKey,
            record.id,
            record.expires_at.unwrap_or(Timestamp::NEVER),
        )
    }
}
