//! What operations show: records without what only the store may know, times as RFC 3339.

mod revocations;
mod upstreams;

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use self::revocations::{RevocationView, Revocations, Revoked};
pub use self::upstreams::{EndpointView, UpstreamView};

use super::reload::ReloadView;
use crate::model::{ApiKeyRecord, Secret, SessionRecord, Timestamp};

/// An API key, without its secret or the digest of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its public id.
    pub id: Arc<str>,
    /// Whether it can be used.
    pub state: KeyState,
    /// Whose: the issuer.
    pub issuer: Arc<str>,
    /// Whose: the subject.
    pub subject: Arc<str>,
    /// What it is for.
    pub label: Option<Arc<str>>,
    /// Roles.
    pub roles: Vec<Arc<str>>,
    /// Scopes.
    pub scopes: Vec<Arc<str>>,
    /// Groups.
    pub groups: Vec<Arc<str>>,
    /// Tenant.
    pub tenant: Option<Arc<str>>,
    /// Networks that may use it; empty means any.
    pub networks: Vec<IpNet>,
    /// When it was made.
    pub created_at: String,
    /// When it ends by itself.
    pub expires_at: Option<String>,
    /// When it was last used, to within a minute.
    pub used_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
}

/// Whether the instance is switched to maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// By an operator, whatever the configuration says.
    pub switched_on: bool,
}

/// Whether a key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It can.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl KeyState {
    /// As JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl KeyView {
    /// Of this record, at this time.
    pub fn new(record: ApiKeyRecord, now: Timestamp) -> Self {
        let state = match (record.revoked_at, record.expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(end)) if end <= now => KeyState::Expired,
            _ => KeyState::Active,
        };
        Self {
            id: record.id,
            state,
            issuer: record.principal.issuer,
            subject: record.principal.subject,
            label: record.label,
            roles: record.roles,
            scopes: record.scopes,
            groups: record.groups,
            tenant: record.tenant,
            networks: record.networks,
            created_at: rfc3339(record.created_at),
            expires_at: record.expires_at.map(rfc3339),
            used_at: record.used_at.map(rfc3339),
            revoked_at: record.revoked_at.map(rfc3339),
        }
    }
}

/// A key that was just made: the only time that its text is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreatedKey {
    /// The text that clients present.
    #[serde(with = "exposed")]
    pub key: Secret<String>,
    /// What is kept of it.
    pub record: KeyView,
}

/// A session, without the secret of its cookie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionView {
    /// Its public id.
    pub id: Arc<str>,
    /// Whose: the issuer.
    pub issuer: Arc<str>,
    /// Whose: the subject.
    pub subject: Arc<str>,
    /// Roles.
    pub roles: Vec<Arc<str>>,
    /// Groups.
    pub groups: Vec<Arc<str>>,
    /// Scopes.
    pub scopes: Vec<Arc<str>>,
    /// Tenant.
    pub tenant: Option<Arc<str>>,
    /// Further attributes.
    pub attributes: Map<String, Value>,
    /// When it began.
    pub created_at: String,
    /// When it was last used, to within a minute.
    pub seen_at: String,
    /// When it ends if it is not used again.
    pub ends_at: String,
    /// When it ends in any case.
    pub expires_at: String,
}

impl From<SessionRecord> for SessionView {
    fn from(record: SessionRecord) -> Self {
        Self {
            ends_at: rfc3339(record.ends_at()),
            id: record.id,
            issuer: record.principal.issuer,
            subject: record.principal.subject,
            roles: record.roles,
            groups: record.groups,
            scopes: record.scopes,
            tenant: record.tenant,
            attributes: record.attributes,
            created_at: rfc3339(record.created_at),
            seen_at: rfc3339(record.seen_at),
            expires_at: rfc3339(record.expires_at),
        }
    }
}

/// A session that was just made: the only time that its cookie is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreatedSession {
    /// `NAME=VALUE`, as a client sends it.
    #[serde(with = "exposed")]
    pub cookie: Secret<String>,
    /// What is kept of it.
    pub session: SessionView,
}

/// How the instance is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Of the process.
    pub pid: u32,
    /// `starting`, `ready` or `draining`.
    pub phase: String,
    /// What it waits for while starting.
    pub reasons: Vec<String>,
    /// Seconds since it was started.
    pub uptime_seconds: u64,
    /// How old what it knows of the revocation log is; `None` before the first reading.
    pub revocation_staleness_ms: Option<u64>,
    /// Live entries of the revocation log.
    pub revocations: usize,
    /// The same by kind.
    pub revocations_by_kind: BTreeMap<String, usize>,
    /// Verified credentials in the cache, about.
    pub cached_credentials: u64,
    /// What came of the last reload; `None` before the first.
    #[serde(default)]
    pub last_reload: Option<ReloadView>,
}

/// A time as RFC 3339 writes it, to the second; `never` beyond the calendar.
pub fn rfc3339(at: Timestamp) -> String {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "never".to_owned())
}

/// Secrets whose purpose is to be handed over, once.
pub(super) mod exposed {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::Secret;

    pub(in crate::admin) fn serialize<S: Serializer>(secret: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(in crate::admin) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret<String>, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!(rfc3339(Timestamp(1_763_728_496_123)), "2025-11-21T12:34:56Z");
        assert_eq!(rfc3339(Timestamp::NEVER), "never");
    }
}
