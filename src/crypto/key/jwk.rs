//! JSON Web Keys (RFC 7517) and the kinds of RFC 7518 and RFC 8037.

use serde_json::{Map, Value};

use super::{Material, VerifyingKey};
use crate::crypto::base64url;
use crate::crypto::shown::Shown;
use crate::model::Secret;
use crate::model::settings::Algorithm;

/// One member of a JWKS as a key for some of `allowed`; an error where it is none that we can or may use.
///
/// Only the key itself is read: `x5c`, `x5u` and whatever else it says about where to find another are left alone.
pub(crate) fn read(jwk: &Map<String, Value>, allowed: &[Algorithm]) -> Result<VerifyingKey, String> {
    check_use(jwk)?;
    let material = material(jwk)?;
    let id = text(jwk, "kid")?.map(Box::from);
    match text(jwk, "alg")? {
        None => VerifyingKey::new(&material, id, allowed),
        Some(name) => {
            let only: Vec<_> = allowed.iter().copied().filter(|a| a.name() == name).collect();
            if only.is_empty() {
                return Err(format!("alg `{}` is not allowed", Shown(name)));
            }
            VerifyingKey::new(&material, id, &only)
        }
    }
}

/// Of a member that [`read`] takes, what it read.
pub(crate) fn public(member: &Value) -> Value {
    const READ: [&str; 10] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops"];
    let members = member.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| READ.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// RFC 7517, sections 4.2 and 4.3: a key for encryption, or one that may only sign, verifies nothing.
fn check_use(jwk: &Map<String, Value>) -> Result<(), String> {
    if text(jwk, "use")?.is_some_and(|u| u != "sig") {
        return Err("use is not `sig`".to_owned());
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|o| o == "verify") => Ok(()),
        Some(_) => Err("key_ops does not contain `verify`".to_owned()),
    }
}

fn material(jwk: &Map<String, Value>) -> Result<Material, String> {
    let crv = text(jwk, "crv")?;
    match (text(jwk, "kty")?, crv) {
        (Some("RSA"), _) => Ok(Material::Rsa { n: integer(jwk, "n")?, e: integer(jwk, "e")? }),
        (Some("EC"), Some("P-256")) => Ok(Material::P256 { x: array(jwk, "x")?, y: array(jwk, "y")? }),
        (Some("EC"), Some("P-384")) => Ok(Material::P384 { x: array(jwk, "x")?, y: array(jwk, "y")? }),
        (Some("OKP"), Some("Ed25519")) => Ok(Material::Ed25519 { x: array(jwk, "x")? }),
        (Some("oct"), _) => Ok(Material::Symmetric(Secret::new(bytes(jwk, "k")?))),
        (Some(kty), crv) => Err(format!("kty `{}`, crv `{}` is not supported", Shown(kty), Shown(crv.unwrap_or("")))),
        (None, _) => Err("kty is missing".to_owned()),
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} is not a string")),
    }
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    text(jwk, name)?.and_then(base64url::decode).ok_or_else(|| format!("{name} is not canonical base64url"))
}

fn array<const N: usize>(jwk: &Map<String, Value>, name: &str) -> Result<[u8; N], String> {
    bytes(jwk, name)?.try_into().map_err(|b: Vec<u8>| format!("{name} has {} bytes, {N} are wanted", b.len()))
}

/// A `Base64urlUInt`; leading zeros are wrong (RFC 7518, section 2) but some write them.
fn integer(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    Ok(bytes(jwk, name)?.into_iter().skip_while(|b| *b == 0).collect())
}
