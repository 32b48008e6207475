//! What RFC 5280 and the Baseline Requirements of the CA/Browser Forum demand of certificates, and webpki does not look at.
//! They are applied to certificates of a path that leads to a trusted CA; section numbers are those of RFC 5280.

use std::collections::HashSet;

use rustls_pki_types::CertificateDer;
use x509_parser::asn1_rs::oid;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, NameConstraints};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519, OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::{PublicKey, RSAPublicKey};

use super::Reason;
use super::encoding::is_der;
use crate::edge::tls::client::client_certificate;

/// Octets of a serial number (section 4.1.2.2).
const LONGEST_SERIAL: usize = 20;

/// Bits of an RSA modulus (Baseline Requirements, section 6.1.5).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A certificate of the path.
pub(super) fn read<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Reason> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Reason::Malformed),
    }
}

/// What holds for each certificate.
pub(super) fn any(certificate: &X509Certificate<'_>) -> Result<(), Reason> {
    // Section 4.1. What extensions of others hold may be anything.
    let standard = certificate.extensions().iter().filter(|extension| extension.oid.starts_with(&oid!(2.5.29)));
    if !std::iter::once(certificate.as_raw()).chain(standard.map(|one| one.value)).all(is_der) {
        return Err(Reason::Malformed);
    }
    if !is_serial(certificate.raw_serial()) {
        return Err(Reason::Malformed);
    }
    // Section 4.1.2.4: the issuer is not empty.
    if certificate.issuer().iter_rdn().next().is_none() {
        return Err(Reason::Malformed);
    }
    // Section 4.2: no extension twice. webpki sees that only of those that it knows.
    let mut seen = HashSet::new();
    if !certificate.extensions().iter().all(|extension| seen.insert(&extension.oid)) {
        return Err(Reason::Malformed);
    }
    key(certificate)
}

/// What holds for that of the client.
pub(super) fn client(der: &CertificateDer<'_>, certificate: &X509Certificate<'_>) -> Result<(), Reason> {
    if client_certificate(std::slice::from_ref(der), [].into()).is_none() {
        return Err(Reason::BadName);
    }
    // Section 4.2.1.3, and RFC 8446, section 4.4.2.2: its key signs the handshake.
    match certificate.key_usage() {
        Ok(usage) if usage.as_ref().is_none_or(|usage| usage.value.digital_signature()) => Ok(()),
        Ok(_) => Err(Reason::KeyUsage),
        Err(_) => Err(Reason::Malformed),
    }
}

/// What holds for an issuer: section 6.1.4, (n). webpki looks at the basic constraints alone.
pub(super) fn issuer(certificate: &X509Certificate<'_>) -> Result<(), Reason> {
    match certificate.key_usage() {
        Ok(usage) if usage.as_ref().is_none_or(|usage| usage.value.key_cert_sign()) => Ok(()),
        Ok(_) => Err(Reason::NotACa),
        Err(_) => Err(Reason::Malformed),
    }
}

/// Whether a CA constrains email addresses; `None` where it cannot be read. Section 4.2.1.10: that holds for addresses in a
/// subject, too; webpki looks at alternative names alone.
pub(super) fn constrains_email(certificate: &X509Certificate<'_>) -> Option<bool> {
    let Some(constraints) = certificate.name_constraints().ok()? else { return Some(false) };
    let NameConstraints { permitted_subtrees, excluded_subtrees } = constraints.value;
    let mut subtrees = permitted_subtrees.iter().chain(excluded_subtrees).flatten();
    Some(subtrees.any(|subtree| matches!(subtree.base, GeneralName::RFC822Name(_))))
}

/// Whether a certificate says where the list is that would name it (section 4.2.1.13).
pub(super) fn names_a_point(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| extension.oid == OID_X509_EXT_CRL_DISTRIBUTION_POINTS)
}

/// Whether a key that takes part in a chain is one that nothing here would verify a signature with.
pub(super) fn is_weak(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| key(&certificate) == Err(Reason::WeakKey))
}

/// Section 4.1.2.2: a positive number of at most 20 octets, in its one encoding. Another encoding would not be found in a
/// revocation list.
fn is_serial(bytes: &[u8]) -> bool {
    let significant = match bytes {
        [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => rest,
        [first, ..] if (1..0x80).contains(first) => bytes,
        _ => return false,
    };
    significant.len() <= LONGEST_SERIAL
}

/// Baseline Requirements, sections 6.1.5 and 6.1.6. webpki takes no signature of another key, but does not look at the one
/// that the client signs with.
fn key(certificate: &X509Certificate<'_>) -> Result<(), Reason> {
    let spki = certificate.public_key();
    let algorithm = &spki.algorithm;
    if algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        return match spki.parsed() {
            Ok(PublicKey::RSA(key)) if is_strong(&key) => Ok(()),
            Ok(PublicKey::RSA(_)) => Err(Reason::WeakKey),
            _ => Err(Reason::Malformed),
        };
    }
    let curve = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let is_known = match curve {
        None => algorithm.algorithm == OID_SIG_ED25519,
        Some(curve) => {
            algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
                && [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&curve)
        }
    };
    if is_known { Ok(()) } else { Err(Reason::SignatureAlgorithm) }
}

fn is_strong(key: &RSAPublicKey<'_>) -> bool {
    let modulus = without_zeros(key.modulus);
    let bits = match modulus.first() {
        None => 0,
        Some(first) => modulus.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(8),
    };
    let exponent = without_zeros(key.exponent);
    let odd = exponent.last().is_some_and(|last| last & 1 == 1);
    RSA_BITS.contains(&bits) && odd && exponent != [1]
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    number.get(first..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_positive_short_and_have_one_encoding() {
        let long = [&[0x7f][..], &[0xff; 19]].concat();
        let highest = [&[0][..], &[0xff; 20]].concat();
        for good in [&[1][..], &[0x7f], &[0, 0x80], &long, &highest] {
            assert!(is_serial(good), "{good:?}");
        }
        let too_long = [&[1][..], &[0; 20]].concat();
        for bad in [&[][..], &[0], &[0x80], &[0xff, 1], &[0, 1], &[0, 0, 0x80], &too_long] {
            assert!(!is_serial(bad), "{bad:?}");
        }
    }
}
