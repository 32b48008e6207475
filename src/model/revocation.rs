//! What the revocation log says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Principal, Timestamp};

/// Something that is no longer valid, or (for [`Revocation::Changed`]) no longer as it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Revocation {
    /// One token: its issuer, and its `jti` or the digest that stands for it.
    Token {
        /// The exact `iss`.
        issuer: Arc<str>,
        /// The token's [`credential_id`](super::Verified::credential_id).
        id: Arc<str>,
    },
    /// Everything of a principal issued before a time, and tokens of his that do not say when they were issued.
    PrincipalBefore {
        /// Whose.
        principal: Principal,
        /// Issued before then.
        before: Timestamp,
    },
    /// One session, by its public id.
    Session {
        /// The public id.
        id: Arc<str>,
    },
    /// All sessions of a principal of a generation below this one.
    Sessions {
        /// Whose.
        principal: Principal,
        /// Sessions of this generation and later ones stay.
        generation: u64,
    },
    /// A family of refresh tokens and all that came of it.
    Family {
        /// The family.
        id: Arc<str>,
    },
    /// One API key, by its public id.
    ApiKey {
        /// The public id.
        id: Arc<str>,
    },
    /// One client certificate, by the hexadecimal SHA-256 of its DER.
    Certificate {
        /// 64 lower-case digits.
        fingerprint: Arc<str>,
    },
    /// Nothing ends, but what caches hold of this credential is out of date.
    Changed {
        /// The [`credential_id`](super::Verified::credential_id).
        id: Arc<str>,
    },
}

impl Revocation {
    /// The names of the kinds that revoke something, in the order in which they are counted.
    pub const KINDS: [&str; 7] =
        ["token", "principal_before", "session", "sessions", "family", "api_key", "certificate"];

    /// The name of its kind, as JSON has it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::PrincipalBefore { .. } => "principal_before",
            Self::Session { .. } => "session",
            Self::Sessions { .. } => "sessions",
            Self::Family { .. } => "family",
            Self::ApiKey { .. } => "api_key",
            Self::Certificate { .. } => "certificate",
            Self::Changed { .. } => "changed",
        }
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// What.
    #[serde(flatten)]
    pub what: Revocation,
    /// When nothing that it revokes can be valid any more: the credential's end + leeway + 60 s. The entry goes then.
    pub until: Timestamp,
}
