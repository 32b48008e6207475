//! JSON Web Tokens (RFC 7519) in JWS compact serialization (RFC 7515).

pub(crate) mod claims;
pub(crate) mod compact;
pub(crate) mod header;
pub(crate) mod json;

use std::sync::Arc;

use serde_json::{Map, Value};

pub use claims::Bindings;
pub use compact::{Unverified, inspect};

use crate::model::settings::IssuerSettings;
use crate::model::{Denial, Timestamp};

/// By what a token is revoked: what it says of itself, and **nothing of it is proved**.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `iss`.
    pub issuer: Arc<str>,
    /// As [`VerifiedToken::id`].
    pub id: Arc<str>,
    /// `exp`.
    pub expires_at: Timestamp,
}

/// By what this token is revoked, whether anybody would accept it or not.
pub fn name(token: &str) -> Result<Named, Denial> {
    let compact = compact::Compact::parse(token)?;
    claims::name(&compact.claims, compact.signing_input)
}

/// Whether a text has the form of a token: three segments, none of them empty. Nothing else is said of it.
pub fn has_form(token: &str) -> bool {
    let mut dots = memchr::memchr_iter(b'.', token.as_bytes());
    match (dots.next(), dots.next(), dots.next()) {
        (Some(first), Some(second), None) => first > 0 && second > first + 1 && second + 1 < token.len(),
        _ => false,
    }
}

/// A token whose signature and claims have been checked against its issuer's settings.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    /// Whose.
    pub issuer: Arc<IssuerSettings>,
    /// All claims.
    pub claims: Map<String, Value>,
    /// `sub`.
    pub subject: Arc<str>,
    /// `jti`, or (without one) `sha256:` and the hexadecimal SHA-256 of the signing input.
    pub id: Arc<str>,
    /// `exp` + leeway.
    pub expires_at: Timestamp,
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `nbf` − leeway.
    pub not_before: Option<Timestamp>,
    /// `cnf` `x5t#S256`.
    pub bound_certificate: Option<[u8; 32]>,
    /// `cnf` `jkt` (RFC 9449, section 6.1).
    pub bound_key: Option<[u8; 32]>,
    /// RFC 7638 thumbprint of the key that verified it.
    pub key_thumbprint: [u8; 32],
}
