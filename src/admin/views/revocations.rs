//! What revocations show.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rfc3339;
use crate::model::{LogEntry, Principal, Revocation};

/// One entry of the revocation log. What does not apply to its kind is absent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RevocationView {
    /// One of [`Revocation::KINDS`].
    pub kind: String,
    /// The issuer of the token or principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Arc<str>>,
    /// The principal's subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Arc<str>>,
    /// The public id of the token, session, family, key; the fingerprint of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Arc<str>>,
    /// What was issued before then is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Sessions of a generation below this one are revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// When it may be forgotten; `never` if it may not.
    pub until: String,
}

impl From<&LogEntry> for RevocationView {
    fn from(entry: &LogEntry) -> Self {
        let view = Self {
            kind: entry.what.kind().to_owned(),
            issuer: None,
            subject: None,
            id: None,
            before: None,
            generation: None,
            until: rfc3339(entry.until),
        };
        let of = |principal: &Principal| {
            let Principal { issuer, subject } = principal.clone();
            Self { issuer: Some(issuer), subject: Some(subject), ..view.clone() }
        };
        match &entry.what {
            Revocation::Token { issuer, id } => {
                Self { issuer: Some(Arc::clone(issuer)), id: Some(Arc::clone(id)), ..view }
            }
            Revocation::PrincipalBefore { principal, before } => {
                Self { before: Some(rfc3339(*before)), ..of(principal) }
            }
            Revocation::Sessions { principal, generation } => Self { generation: Some(*generation), ..of(principal) },
            Revocation::Session { id }
            | Revocation::Family { id }
            | Revocation::ApiKey { id }
            | Revocation::Certificate { fingerprint: id }
            | Revocation::Changed { id } => Self { id: Some(Arc::clone(id)), ..view },
        }
    }
}

/// What was revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// What stands in the log for it.
    pub in_force: Vec<RevocationView>,
    /// How many live sessions ended by it.
    pub sessions: usize,
    /// How many API keys ended by it.
    pub api_keys: usize,
}

/// What the log revokes now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    /// How many entries there are of what was asked for.
    pub total: usize,
    /// The first of them, by kind, issuer, subject and id.
    pub revocations: Vec<RevocationView>,
}
