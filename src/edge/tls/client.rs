//! What a verified client certificate says.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{self, Oid};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::crypto::digest::sha256;
use crate::model::{ClientCertificate, Timestamp, Told};

/// Reads a certificate whose chain has been verified. `None` where a name in it holds NUL, another control character or
/// (but in the subject) anything that is not ASCII: such names mean one thing here and another where they are cut short.
///
/// `by`: names of the certificate that its client was shown.
pub(in crate::edge) fn client_certificate(
    chain: &[CertificateDer<'_>],
    by: Arc<[String]>,
) -> Option<ClientCertificate> {
    let der = chain.first()?;
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let (mut uris, mut dns, mut emails) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(names) = certificate.subject_alternative_name().ok()? {
        for name in &names.value.general_names {
            match name {
                GeneralName::URI(name) => uris.push(clean(name)?),
                GeneralName::DNSName(name) => dns.push(clean(name)?),
                GeneralName::RFC822Name(name) => emails.push(clean(name)?),
                GeneralName::Invalid(..) => return None,
                _ => {}
            }
        }
    }
    let not_after = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some(ClientCertificate {
        chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
        fingerprint: sha256(der),
        uris,
        dns,
        emails,
        subject: distinguished_name(certificate.subject())?,
        issuer: distinguished_name(certificate.issuer())?,
        not_after: Timestamp::from_secs(not_after),
        by,
        told: Told::default(),
    })
}

/// From when on a certificate is not valid any more: it is in the second of `notAfter` (RFC 5280, section 4.1.2.5).
pub(in crate::edge) fn end(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let last = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some(Timestamp::from_secs(last.saturating_add(1)))
}

fn clean(name: &str) -> Option<String> {
    name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ').then(|| name.to_owned())
}

/// As RFC 4514 writes it: most specific first.
fn distinguished_name(name: &X509Name<'_>) -> Option<String> {
    let mut relatives = Vec::new();
    for relative in name.iter_rdn() {
        let attributes: Option<Vec<String>> = relative.iter().map(attribute).collect();
        relatives.push(attributes?.join("+"));
    }
    relatives.reverse();
    Some(relatives.join(","))
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.as_str().ok().or_else(|| std::str::from_utf8(attribute.as_slice()).ok())?;
    if value.chars().any(char::is_control) {
        return None;
    }
    let kind = match short_name(attribute.attr_type()) {
        Some(name) => name.to_owned(),
        None => attribute.attr_type().to_id_string(),
    };
    Some(format!("{kind}={}", escaped(value)))
}

/// RFC 4514, section 3, and `emailAddress`, which certificates of old put there.
fn short_name(kind: &Oid<'_>) -> Option<&'static str> {
    let names = [
        (oid_registry::OID_X509_COMMON_NAME, "CN"),
        (oid_registry::OID_X509_LOCALITY_NAME, "L"),
        (oid_registry::OID_X509_STATE_OR_PROVINCE_NAME, "ST"),
        (oid_registry::OID_X509_ORGANIZATION_NAME, "O"),
        (oid_registry::OID_X509_ORGANIZATIONAL_UNIT, "OU"),
        (oid_registry::OID_X509_COUNTRY_NAME, "C"),
        (oid_registry::OID_X509_STREET_ADDRESS, "STREET"),
        (oid_registry::OID_DOMAIN_COMPONENT, "DC"),
        (oid_registry::OID_USERID, "UID"),
        (oid_registry::OID_PKCS9_EMAIL_ADDRESS, "emailAddress"),
    ];
    names.into_iter().find(|(oid, _)| oid == kind).map(|(_, name)| name)
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, char) in value.chars().enumerate() {
        let edge = (at == 0 && matches!(char, ' ' | '#')) || (at == last && char == ' ');
        if edge || matches!(char, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            text.push('\\');
        }
        text.push(char);
    }
    text
}

#[cfg(test)]
mod tests {
    use rcgen::SanType;
    use rustls_pki_types::pem::PemObject;

    use super::*;
    use crate::crypto::dev_certs::DevCertificates;
    use crate::model::{Clock, SystemClock};

    fn read(common_name: &str, sans: Vec<SanType>) -> Option<ClientCertificate> {
        let mut ca = DevCertificates::new(SystemClock.now()).unwrap();
        let certificate = ca.client_with(common_name, sans).unwrap();
        client_certificate(&[CertificateDer::from_pem_slice(certificate.chain_pem.as_bytes()).unwrap()], [].into())
    }

    #[test]
    fn names_are_read_in_order() {
        let certificate = read(
            "orders, \"eu\"",
            vec![
                SanType::URI("spiffe://dev/ns/a/sa/b".try_into().unwrap()),
                SanType::DnsName("b.a.svc".try_into().unwrap()),
                SanType::Rfc822Name("ops@a.example".try_into().unwrap()),
                SanType::URI("spiffe://dev/second".try_into().unwrap()),
            ],
        )
        .unwrap();
        assert_eq!(certificate.uris, ["spiffe://dev/ns/a/sa/b", "spiffe://dev/second"]);
        assert_eq!(certificate.dns, ["b.a.svc"]);
        assert_eq!(certificate.emails, ["ops@a.example"]);
        assert_eq!(certificate.subject, r#"CN=orders\, \"eu\""#);
        assert_eq!(certificate.fingerprint, sha256(&certificate.chain[0]));
        assert!(certificate.not_after > SystemClock.now());
    }

    #[test]
    fn f53_control_characters_in_a_name_refuse_the_certificate() {
        for bad in ["spiffe://dev/a\0.evil", "spiffe://dev/a\r\nx: y", "spiffe://dev/a\u{7f}"] {
            assert_eq!(read("a", vec![SanType::URI(bad.try_into().unwrap())]), None, "{bad:?}");
            assert_eq!(read("a", vec![SanType::DnsName(bad.try_into().unwrap())]), None, "{bad:?}");
            assert_eq!(read("a", vec![SanType::Rfc822Name(bad.try_into().unwrap())]), None, "{bad:?}");
            assert_eq!(read(bad, Vec::new()), None, "{bad:?}");
        }
    }
}
