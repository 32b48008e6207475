//! Signing with an EC P-256 key (ES256), for the assertion and for development tokens.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

use super::base64url;
use super::key::Material;
use crate::model::{Entropy, Secret};

/// A signing key and its public half.
pub struct Signer {
    pair: EcdsaKeyPair,
    pem: Secret<String>,
    public_pem: String,
    public: Material,
    key_id: String,
}

/// Why a signing key cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SignerError(pub String);

impl Signer {
    /// From a PKCS#8 or SEC1 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, SignerError> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            SignerError("holds no private key in PEM; `-----BEGIN PRIVATE KEY-----` is wanted".to_owned())
        })?;
        if matches!(der, PrivateKeyDer::Pkcs1(_)) {
            return Err(SignerError("is an RSA key, an EC P-256 key is wanted".to_owned()));
        }
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der());
        Self::new(pair.map_err(|e| SignerError(format!("is not an EC P-256 private key: {e}")))?)
    }

    /// A new key.
    pub fn generate() -> Result<Self, SignerError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self::new(pair.map_err(|_| SignerError("no key could be made".to_owned()))?)
    }

    /// The private key, PKCS#8 PEM.
    pub fn to_pem(&self) -> Secret<String> {
        self.pem.clone()
    }

    /// The public key, PEM: what an issuer's `pem_file` holds.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// RFC 7638 thumbprint, base64url: the `kid`.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public key as a JWKS with one entry.
    pub fn jwks(&self) -> Value {
        let mut jwk = self.public.jwk();
        if let Value::Object(members) = &mut jwk {
            members.insert("kid".to_owned(), json!(self.key_id));
            members.insert("use".to_owned(), json!("sig"));
            members.insert("alg".to_owned(), json!("ES256"));
        }
        json!({ "keys": [jwk] })
    }

    /// A JWS in compact serialization over `claims`, with `typ` and `kid` in its header.
    ///
    /// The nonce of the signature comes from aws-lc's own generator, which takes no other in its place: `_entropy` is
    /// not asked.
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>, _entropy: &dyn Entropy) -> Result<String, SignerError> {
        let header = json!({"alg": "ES256", "kid": self.key_id, "typ": typ}).to_string();
        let claims = serde_json::to_string(claims).map_err(|e| SignerError(format!("claims are not JSON: {e}")))?;
        let mut token = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes());
        let signature = signature.map_err(|_| SignerError("the signature could not be made".to_owned()))?;
        token.push('.');
        token.push_str(&base64url::encode(signature.as_ref()));
        Ok(token)
    }

    fn new(pair: EcdsaKeyPair) -> Result<Self, SignerError> {
        let unusable = |_| SignerError("the key cannot be written".to_owned());
        let private = pair.to_pkcs8v1().map_err(unusable)?;
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(unusable)?;
        let public_pem = pem("PUBLIC KEY", spki.as_ref());
        let public = super::key::pem::read(public_pem.as_bytes()).map_err(SignerError)?;
        let key_id = base64url::encode(&public.thumbprint());
        Ok(Self { pem: Secret::new(pem("PRIVATE KEY", private.as_ref())), pair, public_pem, public, key_id })
    }
}

/// RFC 7468, section 2.
fn pem(label: &str, der: &[u8]) -> String {
    let body = zeroize::Zeroizing::new(STANDARD.encode(der));
    // Large enough from the start: a buffer that grows leaves its old bytes behind.
    let mut text = String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 40);
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while let Some((line, more)) = rest.split_at_checked(64) {
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::TestKey;
    use crate::crypto::testing::{P384, RSA, pem_text};

    #[test]
    fn a_key_survives_its_pem() {
        let signer = Signer::generate().unwrap();
        let pem = signer.to_pem();
        assert!(pem.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(pem.expose().lines().all(|line| line.len() <= 64));
        let again = Signer::from_pem(pem.expose()).unwrap();
        assert_eq!((again.key_id(), again.jwks()), (signer.key_id(), signer.jwks()));
        assert_ne!(Signer::generate().unwrap().key_id(), signer.key_id());
    }

    #[test]
    fn sec1_is_read_as_well() {
        use aws_lc_rs::encoding::EcPrivateKeyRfc5915Der;
        let signer = Signer::generate().unwrap();
        let sec1: EcPrivateKeyRfc5915Der<'_> = signer.pair.private_key().as_der().unwrap();
        let again = Signer::from_pem(&pem_text("EC PRIVATE KEY", sec1.as_ref())).unwrap();
        assert_eq!(again.key_id(), signer.key_id());
    }

    #[test]
    fn the_public_half_holds_nothing_private() {
        let signer = Signer::generate().unwrap();
        let jwks = signer.jwks();
        let jwk = jwks["keys"][0].as_object().unwrap();
        let mut names: Vec<_> = jwk.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert!(signer.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
    }

    #[test]
    fn other_keys_are_refused_without_being_shown() {
        let (TestKey::Ec(p384), TestKey::Rsa(rsa)) = (&*P384, &*RSA) else { unreachable!() };
        let p384 = pem_text("PRIVATE KEY", p384.to_pkcs8v1().unwrap().as_ref());
        let rsa: aws_lc_rs::encoding::Pkcs8V1Der<'_> = rsa.as_der().unwrap();
        let rsa = pem_text("PRIVATE KEY", rsa.as_ref());
        let public = Signer::generate().unwrap().public_pem().to_owned();
        let garbage = pem_text("PRIVATE KEY", b"MIGHAgEAMBMG");
        for pem in [p384, rsa, public, garbage, String::new(), "MIGHAgEAMBMG".to_owned()] {
            let problem = Signer::from_pem(&pem).map(|_| ()).unwrap_err().to_string();
            assert!(!problem.contains("MI"), "{problem}");
        }
    }
}
