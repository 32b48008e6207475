//! Signing with an EC P-256 key (ES256), for the assertion and for development tokens.

use serde_json::{Map, Value};

use crate::model::Entropy;

/// A signing key and its public half.
pub struct Signer {}

/// Why a signing key cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SignerError(pub String);

impl Signer {
    /// From a PKCS#8 or SEC1 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, SignerError> {
        let _ = pem;
        todo!()
    }

    /// A new key.
    pub fn generate() -> Result<Self, SignerError> {
        todo!()
    }

    /// The private key, PKCS#8 PEM.
    pub fn to_pem(&self) -> crate::model::Secret<String> {
        todo!()
    }

    /// RFC 7638 thumbprint, base64url: the `kid`.
    pub fn key_id(&self) -> &str {
        todo!()
    }

    /// The public key as a JWKS with one entry.
    pub fn jwks(&self) -> Value {
        todo!()
    }

    /// A JWS in compact serialization over `claims`, with `typ` and `kid` in its header.
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>, entropy: &dyn Entropy) -> Result<String, SignerError> {
        let _ = (typ, claims, entropy);
        todo!()
    }
}
