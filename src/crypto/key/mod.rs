//! Keys that verify. The key decides which algorithms it can be used with; a token never does.

pub(crate) mod jwk;
pub(crate) mod pem;
pub(crate) mod set;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use serde_json::json;

use super::base64url;
use super::digest::sha256;
use crate::model::Secret;
use crate::model::settings::Algorithm;

/// What a key is made of, before it is known what it may be used for.
#[derive(Debug)]
pub(crate) enum Material {
    /// Modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point on P-256.
    P256 { x: [u8; 32], y: [u8; 32] },
    /// A point on P-384.
    P384 { x: [u8; 48], y: [u8; 48] },
    /// A point on Ed25519, compressed.
    Ed25519 { x: [u8; 32] },
    /// A shared secret.
    Symmetric(Secret<Vec<u8>>),
}

/// A key, ready to verify with the algorithms that both the key and its issuer allow.
pub(crate) struct VerifyingKey {
    /// `kid` (RFC 7517, section 4.5).
    pub(crate) id: Option<Box<str>>,
    /// RFC 7638 thumbprint.
    pub(crate) thumbprint: [u8; 32],
    /// Never empty.
    verifiers: Vec<(Algorithm, Verifier)>,
}

enum Verifier {
    Public(ParsedPublicKey),
    Shared(Box<hmac::Key>),
}

impl VerifyingKey {
    /// A key for those of `allowed` that the material fits; an error where it fits none or is too weak.
    pub(crate) fn new(material: &Material, id: Option<Box<str>>, allowed: &[Algorithm]) -> Result<Self, String> {
        let mut verifiers = Vec::new();
        let mut problem = None;
        for algorithm in allowed {
            match material.verifier(*algorithm) {
                Ok(Some(verifier)) => verifiers.push((*algorithm, verifier)),
                Ok(None) => {}
                Err(cause) => problem = Some(cause),
            }
        }
        match problem {
            _ if !verifiers.is_empty() => Ok(Self { id, thumbprint: material.thumbprint(), verifiers }),
            Some(problem) => Err(problem),
            None => Err(format!("{} fits none of the allowed algorithms", material.name())),
        }
    }

    /// Whether it may be used with `algorithm`.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.verifiers.iter().any(|(fitting, _)| *fitting == algorithm)
    }

    /// Whether `signature` is one of this key over `message`, by `algorithm`.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.verifiers.iter().any(|(fitting, verifier)| {
            *fitting == algorithm
                && match verifier {
                    Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
                    Verifier::Shared(key) => hmac::verify(key, message, signature).is_ok(),
                }
        })
    }
}

impl Material {
    /// `None` where the algorithm is for another kind of key.
    fn verifier(&self, algorithm: Algorithm) -> Result<Option<Verifier>, String> {
        let verifier = match self {
            Self::Rsa { n, e } => {
                let Some(parameters) = rsa_parameters(algorithm) else { return Ok(None) };
                check_rsa(n, e)?;
                let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters);
                Verifier::Public(key.map_err(|e| format!("not an RSA public key: {e}"))?)
            }
            Self::P256 { x, y } if algorithm == Algorithm::ES256 => {
                Verifier::Public(on_curve(&signature::ECDSA_P256_SHA256_FIXED, x, y)?)
            }
            Self::P384 { x, y } if algorithm == Algorithm::ES384 => {
                Verifier::Public(on_curve(&signature::ECDSA_P384_SHA384_FIXED, x, y)?)
            }
            Self::Ed25519 { x } if algorithm == Algorithm::EdDSA => {
                check_ed25519(x)?;
                let key = ParsedPublicKey::new(&signature::ED25519, x);
                Verifier::Public(key.map_err(|e| format!("not a point on Ed25519: {e}"))?)
            }
            Self::Symmetric(secret) => {
                let Some((hash, length)) = hmac_parameters(algorithm) else { return Ok(None) };
                let has = secret.expose().len();
                if has < length {
                    let name = algorithm.name();
                    return Err(format!("the secret has {has} bytes, {name} wants {length} or more"));
                }
                Verifier::Shared(Box::new(hmac::Key::new(hash, secret.expose())))
            }
            Self::P256 { .. } | Self::P384 { .. } | Self::Ed25519 { .. } => return Ok(None),
        };
        Ok(Some(verifier))
    }

    /// RFC 7638. A secret's is keyed with a name of its own, so that it is not the one that others may have published.
    pub(crate) fn thumbprint(&self) -> [u8; 32] {
        let text = match self {
            // `Map` is sorted and writes no spaces, which is what section 3.3 asks for.
            Self::Symmetric(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
                return sha256(hmac::sign(&key, b"portcullis thumbprint").as_ref());
            }
            _ => self.jwk().to_string(),
        };
        sha256(text.as_bytes())
    }

    /// The required members of the public JWK (RFC 7638, section 3.2); empty for a secret.
    pub(crate) fn jwk(&self) -> serde_json::Value {
        let text = base64url::encode;
        match self {
            Self::Rsa { n, e } => json!({"e": text(e), "kty": "RSA", "n": text(n)}),
            Self::P256 { x, y } => json!({"crv": "P-256", "kty": "EC", "x": text(x), "y": text(y)}),
            Self::P384 { x, y } => json!({"crv": "P-384", "kty": "EC", "x": text(x), "y": text(y)}),
            Self::Ed25519 { x } => json!({"crv": "Ed25519", "kty": "OKP", "x": text(x)}),
            Self::Symmetric(_) => json!({}),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "an RSA key",
            Self::P256 { .. } => "a P-256 key",
            Self::P384 { .. } => "a P-384 key",
            Self::Ed25519 { .. } => "an Ed25519 key",
            Self::Symmetric(_) => "a shared secret",
        }
    }
}

/// RFC 7518, sections 3.3 and 3.5: 2048 bits or more. An even or tiny exponent is no RSA, a giant one a way to keep the
/// processor busy; an even modulus is one that everybody can factor.
fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), String> {
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err(format!("the RSA key has {bits} bits, 2048 to 8192 are wanted"));
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Err("the RSA key's modulus is even".to_owned());
    }
    let exponent = e.iter().try_fold(0_u32, |sum, byte| sum.checked_mul(256)?.checked_add(u32::from(*byte)));
    match exponent {
        Some(e) if e >= 3 && e % 2 == 1 => Ok(()),
        _ => Err("the RSA key's exponent is none of 3, 5, … below 2^32".to_owned()),
    }
}

/// Under a point of small order one signature is good for every eighth message, or for every one: whoever gets such a key
/// into a set needs no private half. The verifier below does not look.
fn check_ed25519(x: &[u8; 32]) -> Result<(), String> {
    let mut y = *x;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    if SMALL_ORDER.contains(&y) { Err("a point of small order on Ed25519".to_owned()) } else { Ok(()) }
}

/// The y of every point whose order divides 8, little-endian; 0 and 1 also as they are beyond the field's prime.
const SMALL_ORDER: [[u8; 32]; 7] = [
    ending(0x00, 0x00, 0x00),
    ending(0x01, 0x00, 0x00),
    ending(0xec, 0xff, 0x7f),
    ending(0xed, 0xff, 0x7f),
    ending(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn ending(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

const fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// The hash, and how long a secret must be at least (RFC 7518, section 3.2).
const fn hmac_parameters(algorithm: Algorithm) -> Option<(hmac::Algorithm, usize)> {
    Some(match algorithm {
        Algorithm::HS256 => (hmac::HMAC_SHA256, 32),
        Algorithm::HS384 => (hmac::HMAC_SHA384, 48),
        Algorithm::HS512 => (hmac::HMAC_SHA512, 64),
        _ => return None,
    })
}

fn on_curve(
    curve: &'static dyn signature::VerificationAlgorithm,
    x: &[u8],
    y: &[u8],
) -> Result<ParsedPublicKey, String> {
    ParsedPublicKey::new(curve, [&[4], x, y].concat()).map_err(|e| format!("not a point on the curve: {e}"))
}
