//! DPoP proofs (RFC 9449): a statement about one request, signed with the key that a token is bound to.
//!
//! What is checked here is what the proof itself, its key and the token tell. Whether it is for this request, of now, and
//! used for the first time, is for whoever knows the request.

mod nonce;

use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

pub use nonce::{NonceError, Nonces};

use super::base64url;
use super::digest::{sha256, sha256_fields};
use super::jwt::claims::date;
use super::jwt::compact::Compact;
use super::key::jwk;
use super::shown::{Shown, kind};
use crate::model::denial::Reason;
use crate::model::settings::Algorithm;
use crate::model::{Denial, Timestamp};

/// Longest proof, in bytes: one with a key and a signature of RSA 8192 fits.
const MAX_SIZE: usize = 4096;

/// Longest `jti`, in bytes. Identifiers that nobody can guess have 16 to 32.
const MAX_ID: usize = 256;

/// What a proof must be for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Algorithms that it may be signed with; symmetric ones never count.
    pub algorithms: &'a [Algorithm],
    /// RFC 7638 thumbprint of the key that the token is bound to (`cnf` `jkt`).
    pub key: &'a [u8; 32],
    /// The token itself.
    pub token: &'a str,
}

/// A proof that the key wanted has signed and that names the token; of which request is still to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// `htm`: the method.
    pub method: String,
    /// `htu`: the URI, as it stands there.
    pub url: String,
    /// `iat`
    pub issued_at: Timestamp,
    /// `exp`, which few have.
    pub expires_at: Option<Timestamp>,
    /// `nbf`, likewise.
    pub not_before: Option<Timestamp>,
    /// `nonce`
    pub nonce: Option<String>,
    /// A digest of key and `jti`, by which a second use is known. Not of the text: a signature can be written in more
    /// than one way.
    pub digest: [u8; 32],
}

/// Verifies a proof (RFC 9449, section 4.3, checks 2 to 7 and 12) for the token (check 11).
///
/// # Errors
/// [`Reason::ProofInvalid`], whatever is wrong.
pub fn verify(text: &str, wanted: &Wanted<'_>) -> Result<Proof, Denial> {
    if text.len() > MAX_SIZE {
        return Err(invalid(format!("size: it has {} bytes, {MAX_SIZE} are wanted at most", text.len())));
    }
    let Compact { signing_input, header, claims, signature } = Compact::parse(text).map_err(of_a_proof)?;
    let algorithm = check_header(&header, wanted.algorithms)?;
    let key = match header.get("jwk") {
        Some(Value::Object(key)) => public_key(key, algorithm)?,
        other => return Err(wrong("jwk", other, "an object")),
    };
    // Before the signature: whoever has stolen a token does not make us verify.
    if !bool::from(key.thumbprint.ct_eq(wanted.key)) {
        return Err(invalid("jwk: it is another key than the one that the token is bound to"));
    }
    let proof = read_claims(&claims, &key.thumbprint, wanted.token)?;
    if !key.verifies(algorithm, signing_input.as_bytes(), &signature) {
        return Err(invalid(format!("signature: {}, the key in `jwk` did not make it", algorithm.name())));
    }
    Ok(proof)
}

/// `typ` and `alg`, and nothing that would lead to another key or ask for what is not understood.
fn check_header(header: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Algorithm, Denial> {
    const NEVER: [&str; 9] = ["crit", "b64", "jku", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip"];
    if let Some(name) = NEVER.into_iter().find(|name| header.contains_key(*name)) {
        return Err(invalid(format!("{name}: no proof may have it")));
    }
    match header.get("typ") {
        Some(Value::String(typ)) if typ == "dpop+jwt" => {}
        Some(Value::String(typ)) => return Err(invalid(format!("typ: it has {}, dpop+jwt is wanted", Shown(typ)))),
        other => return Err(wrong("typ", other, "dpop+jwt")),
    }
    match header.get("alg") {
        Some(Value::String(name)) => Algorithm::parse(name)
            .filter(|algorithm| !algorithm.is_symmetric() && allowed.contains(algorithm))
            .ok_or_else(|| invalid(format!("alg: {} is not allowed", Shown(name)))),
        other => Err(wrong("alg", other, "a string")),
    }
}

/// The key in the proof: for this algorithm, and public. A private one is nobody's secret any more.
fn public_key(members: &Map<String, Value>, algorithm: Algorithm) -> Result<super::key::VerifyingKey, Denial> {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    if let Some(name) = PRIVATE.into_iter().find(|name| members.contains_key(*name)) {
        return Err(invalid(format!("jwk: it has the private member `{name}`")));
    }
    jwk::read(members, &[algorithm]).map_err(|problem| invalid(format!("jwk: {problem}")))
}

fn read_claims(claims: &Map<String, Value>, thumbprint: &[u8; 32], token: &str) -> Result<Proof, Denial> {
    let id = text(claims, "jti")?;
    if id.is_empty() || id.len() > MAX_ID {
        return Err(invalid(format!("jti: it has {} bytes, 1 to {MAX_ID} are wanted", id.len())));
    }
    let digest: Option<[u8; 32]> = base64url::decode_array(text(claims, "ath")?);
    if !digest.is_some_and(|digest| bool::from(digest.ct_eq(&sha256(token.as_bytes())))) {
        return Err(invalid("ath: it is not the digest of the token"));
    }
    let date = |name| date(claims, name).map_err(of_a_proof);
    Ok(Proof {
        method: text(claims, "htm")?.to_owned(),
        url: text(claims, "htu")?.to_owned(),
        issued_at: date("iat")?.ok_or_else(|| wrong("iat", None, "a number"))?,
        expires_at: date("exp")?,
        not_before: date("nbf")?,
        nonce: match claims.get("nonce") {
            None => None,
            Some(_) => Some(text(claims, "nonce")?.to_owned()),
        },
        digest: sha256_fields(&[b"dpop", thumbprint, id.as_bytes()]),
    })
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, Denial> {
    match claims.get(name) {
        Some(Value::String(text)) => Ok(text),
        other => Err(wrong(name, other, "a string")),
    }
}

fn wrong(name: &str, has: Option<&Value>, wants: &str) -> Denial {
    invalid(format!("{name}: it has {}, {wants} is wanted", kind(has)))
}

fn of_a_proof(denial: Denial) -> Denial {
    Denial { reason: Reason::ProofInvalid, ..denial }
}

fn invalid(detail: impl Into<Box<str>>) -> Denial {
    Denial::because(Reason::ProofInvalid, detail)
}

#[cfg(test)]
mod tests;
