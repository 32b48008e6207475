//! The keys of one issuer, and the choice among them.

use serde_json::{Map, Value};

use super::jwk;
use super::{Material, VerifyingKey};
use crate::crypto::jwt::json;
use crate::model::settings::Algorithm;

/// A set of keys; never empty.
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    /// Of a public JWKS: what was read of each key, so that it can be written down.
    members: Vec<Value>,
}

/// What a set has to say about a signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The key of this thumbprint made it.
    Verified([u8; 32]),
    /// The one key that `kid` names did not make it.
    Refused,
    /// None of the keys that fit made it, and nothing says which of them should have: another set could know better.
    Undecided,
    /// The key that `kid` names cannot be used with this algorithm.
    Misfit,
    /// No key has this `kid`, or none can be used with this algorithm.
    Unknown,
}

/// Of keys that all fit, this many are tried; more would let one token cost a multiple of another.
const MOST_TRIES: usize = 8;

/// A set beyond this is cut: no issuer has so many, and each costs memory.
const MOST_KEYS: usize = 128;

impl KeySet {
    /// A JWK Set (RFC 7517, section 5). Keys that cannot be used are left out, as its section 5 asks; a set without one
    /// that can is an error. Shared secrets are read only from a source that is `private`.
    pub fn from_jwks(text: &[u8], allowed: &[Algorithm], private: bool) -> Result<Self, String> {
        let jwks = json::object(text).map_err(|e| format!("not a JWKS: {e}"))?;
        Self::from_object(&jwks, allowed, private)
    }

    /// Likewise, of JSON that has been read.
    pub(crate) fn from_object(jwks: &Map<String, Value>, allowed: &[Algorithm], private: bool) -> Result<Self, String> {
        let Some(Value::Array(members)) = jwks.get("keys") else {
            return Err("not a JWKS: `keys` is not an array".to_owned());
        };
        let mut set = Self { keys: Vec::new(), members: Vec::new() };
        let mut first_problem = None;
        for member in members.iter().take(MOST_KEYS) {
            match read(member, allowed, private) {
                Ok(key) => {
                    set.keys.push(key);
                    set.members.extend((!private).then(|| jwk::public(member)));
                }
                Err(problem) => first_problem = first_problem.or(Some(problem)),
            }
        }
        match first_problem {
            _ if !set.keys.is_empty() => Ok(set),
            Some(problem) => Err(format!("the JWKS holds no key that can be used: {problem}")),
            None => Err("the JWKS holds no keys".to_owned()),
        }
    }

    /// A set of one key without a name.
    pub(crate) fn single(material: &Material, allowed: &[Algorithm]) -> Result<Self, String> {
        Ok(Self { keys: vec![VerifyingKey::new(material, None, allowed)?], members: Vec::new() })
    }

    /// How many keys there are.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The members of a JWKS that has these keys; empty for keys that came from elsewhere than a public JWKS.
    pub(crate) fn members(&self) -> &[Value] {
        &self.members
    }

    /// Whether a key of this thumbprint is among them.
    pub(crate) fn has(&self, thumbprint: &[u8; 32]) -> bool {
        self.keys.iter().any(|k| k.thumbprint == *thumbprint)
    }

    /// Judges a signature. `kid` only ever picks among these keys; where none of them has a name it picks nothing, and
    /// every key that fits is tried.
    pub(crate) fn judge(&self, kid: Option<&str>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Verdict {
        let by_name = kid.filter(|_| self.keys.iter().any(|k| k.id.is_some()));
        let named = |key: &&VerifyingKey| by_name.is_none() || key.id.as_deref() == by_name;
        let mut fitting = self.keys.iter().filter(named).filter(|k| k.fits(algorithm)).take(MOST_TRIES).peekable();
        if fitting.peek().is_none() {
            let misfit = by_name.is_some() && self.keys.iter().any(|k| named(&k));
            return if misfit { Verdict::Misfit } else { Verdict::Unknown };
        }
        match fitting.find(|k| k.verifies(algorithm, message, signature)) {
            Some(key) => Verdict::Verified(key.thumbprint),
            None if by_name.is_some() && self.keys.iter().filter(named).count() == 1 => Verdict::Refused,
            None => Verdict::Undecided,
        }
    }
}

fn read(member: &Value, allowed: &[Algorithm], private: bool) -> Result<VerifyingKey, String> {
    let jwk: &Map<String, Value> = member.as_object().ok_or("a key is not an object")?;
    if !private && jwk.get("kty").is_some_and(|kty| kty == "oct") {
        return Err("a shared secret that is served at a URL is no secret".to_owned());
    }
    if !private && jwk.contains_key("d") {
        return Err("a private key that is served at a URL is everybody's".to_owned());
    }
    jwk::read(jwk, allowed)
}
