//! A certificate authority for development that is kept: its certificate and key as PEM, and what it signs.
//!
//! Never for production: the key lies in a file, unencrypted, and nobody watches over what it signs.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::X509Name;
use zeroize::Zeroizing;

use super::signed::{signed_certificate, signed_list};
use crate::model::{Entropy, Secret, Timestamp};

/// What is signed is valid from so long ago, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(3600);
/// Random bytes of a serial number (RFC 5280, section 4.1.2.2: at most 20, positive).
const SERIAL_BYTES: usize = 16;

/// A development CA, or an intermediate of one.
pub struct DevAuthority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    not_after: OffsetDateTime,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct DevPair {
    /// The certificate alone, PEM.
    pub certificate_pem: String,
    /// The private key, PKCS#8 PEM.
    pub key_pem: Secret<String>,
    /// When the certificate ends.
    pub not_after: Timestamp,
}

/// Whose signatures it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DevAlgorithm {
    /// ECDSA on P-256 with SHA-256: everybody can verify it.
    #[default]
    P256,
    /// Ed25519: browsers cannot.
    Ed25519,
}

/// Who a certificate is for.
#[derive(Debug, Clone, Default)]
pub struct DevSubject {
    /// The common name.
    pub common_name: String,
    /// SAN DNS names.
    pub dns: Vec<String>,
    /// SAN addresses.
    pub addresses: Vec<IpAddr>,
    /// SAN URIs.
    pub uris: Vec<String>,
    /// SAN email addresses.
    pub emails: Vec<String>,
    /// Whether it is for a server.
    pub server: bool,
    /// Whether it is for a client.
    pub client: bool,
}

/// When and with what something is made.
#[derive(Clone, Copy)]
pub struct DevTerms<'a> {
    /// The time now.
    pub now: Timestamp,
    /// How long it is valid from then; a certificate at most as long as its CA's.
    pub validity: Duration,
    /// Of its key.
    pub algorithm: DevAlgorithm,
    /// Of serial numbers. (Keys come from the generator of the cryptographic library.)
    pub entropy: &'a dyn Entropy,
}

/// Why something cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum DevAuthorityError {
    /// A name that is no name, or no randomness.
    #[error("cannot make it: {0}")]
    Unmakeable(#[from] rcgen::Error),
    /// A certificate that is none.
    #[error("it holds no certificate that can be read")]
    NoCertificate,
    /// A CA that another program has made, in a way that is not understood here.
    #[error("its certificate has a subject or a key identifier that `portcullis certs ca` does not write")]
    ForeignCa,
    /// A certificate that may sign nothing.
    #[error("its certificate is not that of a CA")]
    NotACa,
    /// A key that is none.
    #[error("the key cannot be read; expected PKCS#8 PEM without a passphrase")]
    NoKey,
    /// A key that the certificate is not for.
    #[error("the key is not the one of the certificate")]
    OtherKey,
    /// A certificate or list of somebody else.
    #[error("it was not signed by this CA")]
    NotIssuedHere,
    /// A revocation list that is none.
    #[error("it holds no revocation list that can be read")]
    NoList,
}

impl DevAuthority {
    /// A root: what others have to trust. `above_intermediates`: its certificates may be those of CAs.
    pub fn root(
        name: &str,
        above_intermediates: bool,
        terms: DevTerms<'_>,
    ) -> Result<(Self, DevPair), DevAuthorityError> {
        let (key, params) = authority(name, u8::from(above_intermediates), terms, None)?;
        let certificate = params.self_signed(&key)?;
        Self::made(certificate, key, params)
    }

    /// A CA below this one, which signs end entities only.
    pub fn intermediate(&self, name: &str, terms: DevTerms<'_>) -> Result<(Self, DevPair), DevAuthorityError> {
        let (key, params) = authority(name, 0, terms, Some(self.not_after))?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Self::made(certificate, key, params)
    }

    fn made(
        certificate: rcgen::Certificate,
        key: KeyPair,
        params: CertificateParams,
    ) -> Result<(Self, DevPair), DevAuthorityError> {
        let pair = DevPair::new(&certificate, &key, &params);
        let (certificate, not_after) = (certificate.der().clone(), params.not_after);
        Ok((Self { certificate, issuer: Issuer::new(params, key), not_after }, pair))
    }

    /// One that was made before, from its PEM.
    pub fn open(certificate_pem: &[u8], key_pem: &str) -> Result<Self, DevAuthorityError> {
        let certificate =
            CertificateDer::from_pem_slice(certificate_pem).map_err(|_| DevAuthorityError::NoCertificate)?;
        let key = KeyPair::from_pem(key_pem).map_err(|_| DevAuthorityError::NoKey)?;
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| DevAuthorityError::NoCertificate)?;
        if !parsed.is_ca() {
            return Err(DevAuthorityError::NotACa);
        }
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(DevAuthorityError::OtherKey);
        }
        let not_after = parsed.validity().not_after.to_datetime();
        let mut params = CertificateParams::default();
        params.distinguished_name = copied(parsed.subject()).ok_or(DevAuthorityError::ForeignCa)?;
        params.key_identifier_method = key_identifier(&parsed).ok_or(DevAuthorityError::ForeignCa)?;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { certificate, issuer: Issuer::new(params, key), not_after })
    }

    /// A certificate for an end entity.
    pub fn issue(&self, subject: &DevSubject, terms: DevTerms<'_>) -> Result<DevPair, DevAuthorityError> {
        let key = new_key(terms.algorithm)?;
        let mut params = params(&subject.common_name, terms, Some(self.not_after));
        params.subject_alt_names = subject.names()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let usages = [
            (subject.server, ExtendedKeyUsagePurpose::ServerAuth),
            (subject.client, ExtendedKeyUsagePurpose::ClientAuth),
        ];
        params.extended_key_usages = usages.into_iter().filter(|(is, _)| *is).map(|(_, usage)| usage).collect();
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(DevPair::new(&certificate, &key, &params))
    }

    /// The serial number of a certificate (DER) that this CA has signed.
    pub fn serial_of(&self, certificate: &[u8]) -> Result<Vec<u8>, DevAuthorityError> {
        let (_, own) = X509Certificate::from_der(&self.certificate).map_err(|_| DevAuthorityError::NoCertificate)?;
        let (_, theirs) = X509Certificate::from_der(certificate).map_err(|_| DevAuthorityError::NoCertificate)?;
        if signed_certificate(&own, &theirs) {
            Ok(theirs.raw_serial().to_vec())
        } else {
            Err(DevAuthorityError::NotIssuedHere)
        }
    }

    /// A revocation list (PEM) that names these serial numbers beside those of the one `before` (DER), which must be this
    /// CA's too; current for as long as the terms say.
    pub fn revocation_list(
        &self,
        serials: &[Vec<u8>],
        before: Option<&CertificateRevocationListDer<'_>>,
        terms: DevTerms<'_>,
    ) -> Result<String, DevAuthorityError> {
        let now = date(terms.now);
        let (mut number, mut revoked) = (1, Vec::new());
        if let Some(before) = before {
            let (_, before) = CertificateRevocationList::from_der(before).map_err(|_| DevAuthorityError::NoList)?;
            self.has_signed(&before)?;
            number = before
                .crl_number()
                .and_then(|number| number.to_u64_digits().first().copied())
                .map_or(1, |number| number + 1);
            revoked.extend(
                before
                    .iter_revoked_certificates()
                    .map(|entry| revoked_at(entry.raw_serial(), entry.revocation_date.to_datetime())),
            );
        }
        for serial in serials {
            let serial_number = SerialNumber::from_slice(serial);
            if !revoked.iter().any(|known| known.serial_number == serial_number) {
                revoked.push(revoked_at(serial, now));
            }
        }
        let list = CertificateRevocationListParams {
            this_update: now.saturating_sub(long(BACKDATED)),
            next_update: now.saturating_add(long(terms.validity)),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    /// Whether this CA has signed a revocation list (DER).
    pub fn is_list_of(&self, list: &CertificateRevocationListDer<'_>) -> bool {
        CertificateRevocationList::from_der(list).is_ok_and(|(_, list)| self.has_signed(&list).is_ok())
    }

    fn has_signed(&self, list: &CertificateRevocationList<'_>) -> Result<(), DevAuthorityError> {
        let (_, own) = X509Certificate::from_der(&self.certificate).map_err(|_| DevAuthorityError::NoCertificate)?;
        if signed_list(&own, list) { Ok(()) } else { Err(DevAuthorityError::NotIssuedHere) }
    }
}

impl DevSubject {
    fn names(&self) -> Result<Vec<SanType>, rcgen::Error> {
        let mut names = Vec::new();
        for name in &self.dns {
            names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        names.extend(self.addresses.iter().copied().map(SanType::IpAddress));
        for uri in &self.uris {
            names.push(SanType::URI(uri.as_str().try_into()?));
        }
        for email in &self.emails {
            names.push(SanType::Rfc822Name(email.as_str().try_into()?));
        }
        Ok(names)
    }
}

impl DevPair {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair, params: &CertificateParams) -> Self {
        let seconds = u64::try_from(params.not_after.unix_timestamp()).unwrap_or_default();
        Self {
            certificate_pem: certificate.pem(),
            key_pem: Secret::new(key_pem(key)),
            not_after: Timestamp::from_secs(seconds),
        }
    }
}

/// What a CA is called, byte for byte as it stands there; `None` where that cannot be written the same way again.
fn copied(name: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut copy = DistinguishedName::new();
    for attribute in name.iter_attributes() {
        let is_name = *attribute.attr_type() == x509_parser::oid_registry::OID_X509_COMMON_NAME;
        if !is_name || attribute.attr_value().tag() != Tag::Utf8String {
            return None;
        }
        copy.push(DnType::CommonName, DnValue::Utf8String(attribute.as_str().ok()?.to_owned()));
    }
    (name.iter_attributes().count() == 1).then_some(copy)
}

fn key_identifier(certificate: &X509Certificate<'_>) -> Option<KeyIdMethod> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(KeyIdMethod::PreSpecified(id.0.to_vec())),
        _ => None,
    })
}

/// PKCS#8. Of Ed25519 in the version that OpenSSL reads too: without the public key that the library adds (RFC 8410,
/// section 7).
fn key_pem(key: &KeyPair) -> String {
    const WITHOUT: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let seed = key.serialized_der().get(WITHOUT.len()..WITHOUT.len() + 32);
    match seed.filter(|_| key.algorithm() == &rcgen::PKCS_ED25519) {
        Some(seed) => {
            let text = Zeroizing::new(STANDARD.encode(Zeroizing::new([WITHOUT.as_slice(), seed].concat())));
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", &*text)
        }
        None => key.serialize_pem(),
    }
}

fn authority(
    name: &str,
    path_length: u8,
    terms: DevTerms<'_>,
    at_most: Option<OffsetDateTime>,
) -> Result<(KeyPair, CertificateParams), DevAuthorityError> {
    let key = new_key(terms.algorithm)?;
    let mut params = params(name, terms, at_most);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = at_most.is_some();
    Ok((key, params))
}

fn params(common_name: &str, terms: DevTerms<'_>, at_most: Option<OffsetDateTime>) -> CertificateParams {
    let now = date(terms.now);
    let not_after = now.saturating_add(long(terms.validity));
    let mut params = CertificateParams::default();
    params.not_before = now.saturating_sub(long(BACKDATED));
    params.not_after = at_most.map_or(not_after, |most| not_after.min(most));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let mut serial = [0; SERIAL_BYTES];
    terms.entropy.fill(&mut serial);
    // Positive, and without leading zeros that DER would take away.
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

fn new_key(algorithm: DevAlgorithm) -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(match algorithm {
        DevAlgorithm::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        DevAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
    })
}

fn revoked_at(serial: &[u8], at: OffsetDateTime) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: at,
        reason_code: None,
        invalidity_date: None,
    }
}

fn date(at: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn long(time: Duration) -> time::Duration {
    time::Duration::seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
