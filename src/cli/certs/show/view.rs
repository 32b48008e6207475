//! What is told of a certificate, a key, a revocation list and a request.

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{ExtendedKeyUsage, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::names::{Names, distinguished, hex, is_clean, is_clean_subject};
use crate::admin::views::rfc3339;
use crate::crypto::digest::sha256;
use crate::model::Timestamp;

/// Anything in a file.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum View {
    Certificate(Box<CertificateView>),
    Key(KeyView),
    RevocationList(ListView),
    Request(RequestView),
    /// Something that cannot be read.
    Unreadable,
}

/// A certificate.
#[derive(Debug, Serialize)]
pub(super) struct CertificateView {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) names: Names,
    pub(super) serial: String,
    pub(super) fingerprint_sha256: String,
    pub(super) public_key: String,
    pub(super) signature: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
    /// Negative once it has expired.
    pub(super) expires_in_seconds: i64,
    pub(super) ca: bool,
    pub(super) path_length: Option<u32>,
    pub(super) key_usage: Option<String>,
    pub(super) extended_key_usage: Vec<String>,
    pub(super) subject_key_id: Option<String>,
    pub(super) authority_key_id: Option<String>,
    pub(super) self_issued: bool,
    #[serde(skip)]
    pub(super) begins_in_seconds: i64,
    #[serde(skip)]
    pub(super) is_clean: bool,
    #[serde(skip)]
    pub(super) weak_key: bool,
    #[serde(skip)]
    pub(super) spki: Vec<u8>,
    #[serde(skip)]
    pub(super) der: CertificateDer<'static>,
}

/// A private key; never a byte of it.
#[derive(Debug, Serialize)]
pub(super) struct KeyView {
    pub(super) private_key: String,
    /// Which certificate of the file it belongs to, from 1.
    pub(super) belongs_to: Option<usize>,
    #[serde(skip)]
    pub(super) spki: Vec<u8>,
}

/// A revocation list.
#[derive(Debug, Serialize)]
pub(super) struct ListView {
    pub(super) issuer: String,
    pub(super) number: Option<String>,
    pub(super) entries: usize,
    pub(super) this_update: String,
    pub(super) next_update: Option<String>,
    /// Negative once it is out of date; `None`: it never is.
    pub(super) current_for_seconds: Option<i64>,
    pub(super) signature: String,
}

/// A request for a certificate.
#[derive(Debug, Serialize)]
pub(super) struct RequestView {
    pub(super) subject: String,
    pub(super) names: Names,
    pub(super) public_key: String,
}

impl CertificateView {
    /// `None` where it is no certificate.
    pub(super) fn new(der: &CertificateDer<'static>, now: Timestamp) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty())?;
        let (mut names, mut key_usage, mut extended, mut constraints) = (Names::default(), None, Vec::new(), None);
        let (mut subject_key_id, mut authority_key_id) = (None, None);
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(san) => {
                    san.general_names.iter().for_each(|name| names.add(name))
                }
                ParsedExtension::KeyUsage(usage) => key_usage = Some(usage.to_string()),
                ParsedExtension::ExtendedKeyUsage(usage) => extended = purposes(usage),
                ParsedExtension::BasicConstraints(found) => constraints = Some(found.clone()),
                ParsedExtension::SubjectKeyIdentifier(id) => subject_key_id = Some(hex(id.0)),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    authority_key_id = id.key_identifier.as_ref().map(|id| hex(id.0));
                }
                _ => {}
            }
        }
        let (public_key, weak_key) = public_key(certificate.public_key());
        let validity = certificate.validity();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let is_clean = is_clean_subject(certificate.subject())
            && names.all().all(|(kind, name)| is_clean(name) && !(kind == "other" && name.starts_with("invalid")));
        Some(Self {
            subject: distinguished(certificate.subject()),
            issuer: distinguished(certificate.issuer()),
            names,
            serial: hex(certificate.raw_serial()),
            fingerprint_sha256: hex(&sha256(der)),
            public_key,
            signature: algorithm(&certificate.signature_algorithm),
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
            expires_in_seconds: validity.not_after.timestamp().saturating_sub(now),
            ca: constraints.as_ref().is_some_and(|found| found.ca),
            path_length: constraints.and_then(|found| found.path_len_constraint),
            key_usage,
            extended_key_usage: extended,
            subject_key_id,
            authority_key_id,
            self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            begins_in_seconds: validity.not_before.timestamp().saturating_sub(now),
            is_clean,
            weak_key,
            spki: certificate.public_key().raw.to_vec(),
            der: der.clone(),
        })
    }

    /// Whether nobody should trust a signature of this kind any more. (That of a root on itself proves nothing anyway.)
    pub(super) fn is_weakly_signed(&self) -> bool {
        !self.self_issued && ["SHA-1", "MD5", "MD2"].iter().any(|weak| self.signature.contains(weak))
    }
}

impl KeyView {
    /// `None` where it is no key that can be used.
    pub(super) fn new(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).ok()?;
        let spki = key.public_key()?.to_vec();
        let (_, parsed) = SubjectPublicKeyInfo::from_der(&spki).ok()?;
        Some(Self { private_key: public_key(&parsed).0, belongs_to: None, spki })
    }
}

impl ListView {
    pub(super) fn new(der: &[u8], now: Timestamp) -> Option<Self> {
        let (_, list) = CertificateRevocationList::from_der(der).ok()?;
        let next = list.next_update().map(|at| at.timestamp());
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Some(Self {
            issuer: distinguished(list.issuer()),
            number: list.crl_number().map(ToString::to_string),
            entries: list.iter_revoked_certificates().count(),
            this_update: time(list.last_update().timestamp()),
            next_update: next.map(time),
            current_for_seconds: next.map(|next| next.saturating_sub(now)),
            signature: algorithm(&list.signature_algorithm),
        })
    }
}

impl RequestView {
    pub(super) fn new(der: &[u8]) -> Option<Self> {
        let (_, request) = X509CertificationRequest::from_der(der).ok()?;
        let mut names = Names::default();
        for extension in request.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(san) = extension {
                san.general_names.iter().for_each(|name| names.add(name));
            }
        }
        let info = &request.certification_request_info;
        Some(Self { subject: distinguished(&info.subject), names, public_key: public_key(&info.subject_pki).0 })
    }
}

fn time(seconds: i64) -> String {
    rfc3339(Timestamp::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

/// Kind and size, and whether it is too small.
fn public_key(key: &SubjectPublicKeyInfo<'_>) -> (String, bool) {
    let bits = key.parsed().map_or(0, |key| key.key_size());
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    match key.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => (format!("RSA, {bits} bits"), bits < 2048),
        "1.2.840.10045.2.1" => match curve.map(|curve| curve.to_id_string()).as_deref() {
            Some("1.2.840.10045.3.1.7") => ("ECDSA, P-256".to_owned(), false),
            Some("1.3.132.0.34") => ("ECDSA, P-384".to_owned(), false),
            Some("1.3.132.0.35") => ("ECDSA, P-521".to_owned(), false),
            curve => (format!("ECDSA, curve {}", curve.unwrap_or("unknown")), bits < 256),
        },
        "1.3.101.112" => ("Ed25519".to_owned(), false),
        "1.3.101.113" => ("Ed448".to_owned(), false),
        other => (other.to_owned(), false),
    }
}

fn algorithm(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let id = algorithm.algorithm.to_id_string();
    let known = match id.as_str() {
        "1.2.840.10045.4.1" => "ECDSA with SHA-1",
        "1.2.840.10045.4.3.2" => "ECDSA with SHA-256",
        "1.2.840.10045.4.3.3" => "ECDSA with SHA-384",
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512",
        "1.2.840.113549.1.1.2" => "RSA with MD2",
        "1.2.840.113549.1.1.4" => "RSA with MD5",
        "1.2.840.113549.1.1.5" => "RSA with SHA-1",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.113549.1.1.11" => "RSA with SHA-256",
        "1.2.840.113549.1.1.12" => "RSA with SHA-384",
        "1.2.840.113549.1.1.13" => "RSA with SHA-512",
        "1.3.101.112" => "Ed25519",
        _ => return id,
    };
    known.to_owned()
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.any, "any"),
        (usage.server_auth, "server"),
        (usage.client_auth, "client"),
        (usage.code_signing, "code signing"),
        (usage.email_protection, "email"),
        (usage.time_stamping, "time stamping"),
        (usage.ocsp_signing, "OCSP signing"),
    ];
    let known = known.into_iter().filter(|(has, _)| *has).map(|(_, purpose)| purpose.to_owned());
    known.chain(usage.other.iter().map(|purpose| purpose.to_id_string())).collect()
}
