//! What a store keeps about credentials that Portcullis itself issues.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Principal, Timestamp};

/// A server-side record of an authenticated browser. The cookie holds a random secret; the store finds the record by
/// that secret's SHA-256 and never holds the secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The public id, for lists and revocation; says nothing of the secret.
    pub id: Arc<str>,
    /// Whose.
    pub principal: Principal,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<Arc<str>>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<Arc<str>>,
    /// Scopes.
    #[serde(default)]
    pub scopes: Vec<Arc<str>>,
    /// Tenant.
    #[serde(default)]
    pub tenant: Option<Arc<str>>,
    /// Further attributes (`email`, `name`, …).
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to within a minute.
    pub seen_at: Timestamp,
    /// It ends when unused for this long, in milliseconds.
    pub idle_ms: u64,
    /// It ends then in any case.
    pub expires_at: Timestamp,
    /// When the person authenticated.
    pub authenticated_at: Timestamp,
    /// Authentication context class.
    #[serde(default)]
    pub acr: Option<Arc<str>>,
    /// Authentication methods.
    #[serde(default)]
    pub amr: Vec<Arc<str>>,
    /// Generation of the principal's sessions when it began; the store stamps a record that has none yet (0).
    #[serde(default)]
    pub generation: u64,
}

impl SessionRecord {
    /// One that begins now and says nothing of the person but who it is.
    pub fn new(id: &str, principal: Principal, now: Timestamp, idle: Duration, absolute: Duration) -> Self {
        Self {
            id: id.into(),
            principal,
            roles: Vec::new(),
            groups: Vec::new(),
            scopes: Vec::new(),
            tenant: None,
            attributes: Map::new(),
            created_at: now,
            seen_at: now,
            idle_ms: u64::try_from(idle.as_millis()).unwrap_or(u64::MAX),
            expires_at: now.after(absolute),
            authenticated_at: now,
            acr: None,
            amr: Vec::new(),
            generation: 0,
        }
    }

    /// When it ends if nothing touches it.
    pub fn ends_at(&self) -> Timestamp {
        self.expires_at.min(Timestamp(self.seen_at.0.saturating_add(self.idle_ms)))
    }
}

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    /// The public id, part of the key's text.
    pub id: Arc<str>,
    /// SHA-256 of the key's secret part.
    #[serde(with = "hex_digest")]
    pub secret_sha256: [u8; 32],
    /// Whose.
    pub principal: Principal,
    /// What it is for, in its owner's words.
    #[serde(default)]
    pub label: Option<Arc<str>>,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<Arc<str>>,
    /// Scopes.
    #[serde(default)]
    pub scopes: Vec<Arc<str>>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<Arc<str>>,
    /// Tenant.
    #[serde(default)]
    pub tenant: Option<Arc<str>>,
    /// Networks that may use it; empty means any.
    #[serde(default)]
    pub networks: Vec<IpNet>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None` means when it is revoked.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to within a minute.
    #[serde(default)]
    pub used_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
}

/// A SHA-256 as 64 hexadecimal digits, for `#[serde(with = …)]`.
impl ApiKeyRecord {
    /// One that grants nothing and does not end.
    pub fn new(id: &str, secret_sha256: [u8; 32], principal: Principal, now: Timestamp) -> Self {
        Self {
            id: id.into(),
            secret_sha256,
            principal,
            label: None,
            roles: Vec::new(),
            scopes: Vec::new(),
            groups: Vec::new(),
            tenant: None,
            networks: Vec::new(),
            created_at: now,
            expires_at: None,
            used_at: None,
            revoked_at: None,
        }
    }
}

pub(crate) mod hex_digest {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(digest: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(64);
        for byte in digest {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        to.serialize_str(&text)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let mut digest = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(D::Error::custom("a SHA-256 is 64 hexadecimal digits"));
        }
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(D::Error::custom)?;
            *byte = u8::from_str_radix(pair, 16).map_err(D::Error::custom)?;
        }
        Ok(digest)
    }
}
