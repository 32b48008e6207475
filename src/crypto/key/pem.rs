//! Public keys in PEM (RFC 7468): `PUBLIC KEY`, `RSA PUBLIC KEY` and `CERTIFICATE`.

use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::{PublicKey, RSAPublicKey};

use super::Material;
use crate::crypto::shown::Shown;

/// The one public key in `text`. Of a certificate only the key counts: neither its validity nor its issuer is looked at.
pub(crate) fn read(text: &[u8]) -> Result<Material, String> {
    let mut sections = Pem::iter_from_buffer(text);
    let section = match sections.next() {
        Some(Ok(section)) => section,
        Some(Err(e)) => return Err(format!("not PEM: {e}")),
        None => return Err("holds no PEM section; `-----BEGIN PUBLIC KEY-----` is wanted".to_owned()),
    };
    if sections.next().is_some() {
        return Err("holds more than one PEM section, one public key is wanted".to_owned());
    }
    let der = section.contents.as_slice();
    match section.label.as_str() {
        "PUBLIC KEY" => whole(SubjectPublicKeyInfo::from_der(der)).and_then(|spki| material(&spki)),
        "CERTIFICATE" => whole(X509Certificate::from_der(der)).and_then(|c| material(c.public_key())),
        "RSA PUBLIC KEY" => whole(RSAPublicKey::from_der(der)).map(|key| rsa(&key)),
        label if label.contains("PRIVATE") => {
            Err("is a private key; a verifier wants the public one (`openssl pkey -pubout`)".to_owned())
        }
        label => Err(format!("is a `{}`, a `PUBLIC KEY` is wanted", Shown(label))),
    }
}

fn whole<T, E: std::fmt::Display>(parsed: Result<(&[u8], T), E>) -> Result<T, String> {
    match parsed {
        Ok(([], value)) => Ok(value),
        Ok(_) => Err("has bytes after the key".to_owned()),
        Err(e) => Err(format!("is not valid DER: {e}")),
    }
}

fn material(spki: &SubjectPublicKeyInfo<'_>) -> Result<Material, String> {
    let algorithm = spki.algorithm.algorithm.to_id_string();
    let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|oid| oid.to_id_string());
    match (algorithm.as_str(), curve.as_deref()) {
        (RSA_ENCRYPTION, _) => match spki.parsed() {
            Ok(PublicKey::RSA(key)) => Ok(rsa(&key)),
            _ => Err("is not an RSA public key".to_owned()),
        },
        (EC_PUBLIC_KEY, Some(P256)) => point(spki).map(|(x, y)| Material::P256 { x, y }),
        (EC_PUBLIC_KEY, Some(P384)) => point(spki).map(|(x, y)| Material::P384 { x, y }),
        (ED25519, _) => match spki.subject_public_key.data.as_ref().try_into() {
            Ok(x) => Ok(Material::Ed25519 { x }),
            Err(_) => Err("is not an Ed25519 public key".to_owned()),
        },
        (other, curve) => Err(format!("has a key of a kind that is not supported ({other} {})", curve.unwrap_or(""))),
    }
}

const RSA_ENCRYPTION: &str = "1.2.840.113549.1.1.1";
const EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const ED25519: &str = "1.3.101.112";

fn rsa(key: &RSAPublicKey<'_>) -> Material {
    let plain = |integer: &[u8]| integer.iter().copied().skip_while(|b| *b == 0).collect();
    Material::Rsa { n: plain(key.modulus), e: plain(key.exponent) }
}

/// An uncompressed point (SEC 1, section 2.3.3).
fn point<const N: usize>(spki: &SubjectPublicKeyInfo<'_>) -> Result<([u8; N], [u8; N]), String> {
    let point = match spki.subject_public_key.data.split_first() {
        Some((4, point)) => point.split_at_checked(N),
        _ => None,
    };
    let halves = point.and_then(|(x, y)| Some((x.try_into().ok()?, y.try_into().ok()?)));
    halves.ok_or_else(|| "is not an uncompressed point".to_owned())
}
