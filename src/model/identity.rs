//! What a verified credential proves.

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{CredentialKind, Timestamp};

/// The issuer of identities that Portcullis itself keeps: its API keys and sessions.
pub const LOCAL_ISSUER: &str = "portcullis";

/// The issuer of identities that a client certificate proves by an `[[mtls]]` rule.
pub const MTLS_ISSUER: &str = "mtls";

/// The issuer of identities that a user name and a password of the htpasswd file prove.
pub const BASIC_ISSUER: &str = "basic";

/// Who it is: a subject alone names nobody, so it is always the pair.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Principal {
    /// The exact `iss`, or [`LOCAL_ISSUER`].
    pub issuer: Arc<str>,
    /// The subject within that issuer.
    pub subject: Arc<str>,
}

impl Principal {
    /// The pair.
    pub fn new(issuer: &str, subject: &str) -> Self {
        Self { issuer: issuer.into(), subject: subject.into() }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.issuer, self.subject)
    }
}

/// Who a request is from, once the gate has looked.
#[derive(Debug, Clone)]
pub enum Identity {
    /// Nobody in particular: the route admits anyone and no credential counted.
    Anonymous,
    /// Somebody whose credential verified.
    Verified(Arc<Verified>),
}

impl Identity {
    /// What the credential proved; `None` for [`Identity::Anonymous`].
    pub fn verified(&self) -> Option<&Verified> {
        match self {
            Self::Anonymous => None,
            Self::Verified(v) => Some(v),
        }
    }
}

/// What one credential proves. It is what the cache keeps, so it holds facts about the credential and never a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Who.
    pub principal: Principal,
    /// By which kind of credential.
    pub kind: CredentialKind,
    /// The configured name of the issuer (`[issuer.NAME]`); `None` for kinds without one.
    pub issuer_name: Option<Arc<str>>,
    /// A public name of the credential: the key's id, the session's public id, `jti` or the digest of the signing
    /// input, the certificate's fingerprint. Never the secret.
    pub credential_id: Arc<str>,
    /// The token's `jti` family or the session's; empty where there is none.
    pub family: Option<Arc<str>>,
    /// Roles, sorted and without duplicates.
    pub roles: Vec<Arc<str>>,
    /// Scopes, sorted and without duplicates.
    pub scopes: Vec<Arc<str>>,
    /// Groups, sorted and without duplicates.
    pub groups: Vec<Arc<str>>,
    /// The tenant, where the issuer or record names one.
    pub tenant: Option<Arc<str>>,
    /// E-mail address, where one is known.
    pub email: Option<Arc<str>>,
    /// Display name, where one is known.
    pub name: Option<Arc<str>>,
    /// All claims of a token; attributes of a session or key.
    pub claims: Arc<serde_json::Map<String, serde_json::Value>>,
    /// When it was issued.
    pub issued_at: Option<Timestamp>,
    /// When it starts to count (`nbf`), leeway included.
    pub not_before: Option<Timestamp>,
    /// When it ends, leeway included; checked again at each use.
    pub expires_at: Timestamp,
    /// When the person last authenticated (`auth_time`).
    pub authenticated_at: Option<Timestamp>,
    /// Authentication context class.
    pub acr: Option<Arc<str>>,
    /// Authentication methods.
    pub amr: Vec<Arc<str>>,
    /// Networks that may use it; empty means any.
    pub networks: Vec<IpNet>,
    /// SHA-256 thumbprint of the certificate that must accompany it (RFC 8705, section 3.1).
    pub bound_certificate: Option<[u8; 32]>,
    /// SHA-256 thumbprint of the key whose holder must prove that he has it (RFC 9449, section 6.1).
    pub bound_key: Option<[u8; 32]>,
    /// Thumbprint of the key that verified it, so that a key that leaves its set takes it along.
    pub key_thumbprint: Option<[u8; 32]>,
    /// Generation of the principal's sessions when this one began.
    pub generation: u64,
}

impl Verified {
    /// Of this principal, and nothing else is known.
    pub fn new(principal: Principal, kind: CredentialKind, credential_id: Arc<str>, expires_at: Timestamp) -> Self {
        Self {
            principal,
            kind,
            issuer_name: None,
            credential_id,
            family: None,
            roles: Vec::new(),
            scopes: Vec::new(),
            groups: Vec::new(),
            tenant: None,
            email: None,
            name: None,
            claims: Arc::default(),
            issued_at: None,
            not_before: None,
            expires_at,
            authenticated_at: None,
            acr: None,
            amr: Vec::new(),
            networks: Vec::new(),
            bound_certificate: None,
            bound_key: None,
            key_thumbprint: None,
            generation: 0,
        }
    }

    /// The claim at a JSON pointer (RFC 6901), or of a plain name.
    pub fn claim(&self, pointer: &str) -> Option<&serde_json::Value> {
        claim_at(&self.claims, pointer)
    }
}

/// The value at a JSON pointer (RFC 6901), or of a plain name.
pub fn claim_at<'a>(
    claims: &'a serde_json::Map<String, serde_json::Value>,
    pointer: &str,
) -> Option<&'a serde_json::Value> {
    let Some(path) = pointer.strip_prefix('/') else { return claims.get(pointer) };
    let first = path.split('/').next().unwrap_or_default();
    let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    value.pointer(path.get(first.len()..)?)
}
