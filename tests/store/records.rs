//! Records to keep.

use portcullis::model::{ApiKeyRecord, LogEntry, Principal, Revocation, SessionRecord, Timestamp};
use serde_json::json;

use super::{HOUR, plus};

/// The digest of a secret.
pub fn digest(of: u8) -> [u8; 32] {
    [of; 32]
}

/// A session with something in every field, idle after an hour and ended after twelve.
pub fn session(id: &str, subject: &str, created_at: Timestamp) -> SessionRecord {
    let attributes = json!({
        "email": "a@b.example",
        "deep": { "list": [], "none": null, "big": u64::MAX, "fraction": 0.1 },
    });
    SessionRecord {
        id: id.into(),
        principal: Principal::new("https://id.example.com", subject),
        roles: vec!["editor".into()],
        groups: vec!["größe \"quoted\"".into()],
        scopes: Vec::new(),
        tenant: Some("acme".into()),
        attributes: attributes.as_object().expect("an object").clone(),
        created_at,
        seen_at: created_at,
        idle_ms: HOUR,
        expires_at: plus(created_at, 12 * HOUR),
        authenticated_at: created_at,
        acr: Some("2".into()),
        amr: vec!["pwd".into(), "otp".into()],
        generation: 7,
    }
}

/// A key that does not end.
pub fn api_key(id: &str, created_at: Timestamp) -> ApiKeyRecord {
    ApiKeyRecord {
        id: id.into(),
        secret_sha256: digest(9),
        principal: Principal::new("portcullis", "robot"),
        label: Some("nightly".into()),
        roles: vec!["service".into()],
        scopes: Vec::new(),
        groups: Vec::new(),
        tenant: None,
        networks: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        created_at,
        expires_at: None,
        used_at: None,
        revoked_at: None,
    }
}

/// An entry of the log.
pub fn revoked(id: &str, until: Timestamp) -> LogEntry {
    LogEntry { what: Revocation::Session { id: id.into() }, until }
}
