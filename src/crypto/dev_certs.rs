//! Certificates for development and tests: a CA made on the spot, and what it signs. Never for production: the CA's key
//! lives in memory and its certificates are trusted by nobody else.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;

use super::digest::sha256;
use crate::model::{Secret, Timestamp};

/// How long these certificates are valid, from an hour before they were made.
const VALIDITY: time::Duration = time::Duration::days(90);

/// A development CA.
pub struct DevCertificates {
    issuer: CertifiedIssuer<'static, KeyPair>,
    not_before: OffsetDateTime,
}

/// A certificate that a [`DevCertificates`] signed, and its key.
#[derive(Debug)]
pub struct DevCertificate {
    /// The certificate, PEM. (The CA signs directly: the chain is one certificate long.)
    pub chain_pem: String,
    /// The private key, PKCS#8 PEM.
    pub key_pem: Secret<String>,
    serial: SerialNumber,
}

/// Why a certificate cannot be made: a name that is no name, or no randomness.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a development certificate: {0}")]
pub struct DevCertificateError(#[from] rcgen::Error);

impl DevCertificates {
    /// A new CA. What it signs is valid from an hour before `now`, for 90 days.
    pub fn new(now: Timestamp) -> Result<Self, DevCertificateError> {
        let not_before = date(now).saturating_sub(time::Duration::hours(1));
        let key = KeyPair::generate()?;
        // A name of its own for each CA, so that a browser that has seen an earlier one does not take this for a forgery.
        let fingerprint =
            key.public_key_raw().iter().rev().take(4).fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let mut params = params(not_before, &format!("Portcullis development CA {fingerprint:08x}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, key)?, not_before })
    }

    /// The CA's certificate, PEM: what clients (and, for client certificates, the listener) have to trust.
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// The CA's key, PKCS#8 PEM.
    pub fn ca_key_pem(&self) -> Secret<String> {
        Secret::new(self.issuer.key().serialize_pem())
    }

    /// A server certificate for these DNS names (wildcards too) and IP addresses.
    pub fn server(&mut self, names: &[&str]) -> Result<DevCertificate, DevCertificateError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.server_with("Portcullis development server", CertificateParams::new(names)?.subject_alt_names)
    }

    /// A server certificate with this common name and these SANs, whatever they are (also ones that ought to be refused).
    pub fn server_with(
        &mut self,
        common_name: &str,
        sans: Vec<SanType>,
    ) -> Result<DevCertificate, DevCertificateError> {
        self.sign(common_name, sans, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client certificate with this common name, SAN URIs and SAN DNS names.
    pub fn client(
        &mut self,
        common_name: &str,
        uris: &[&str],
        dns: &[&str],
    ) -> Result<DevCertificate, DevCertificateError> {
        let mut sans = Vec::with_capacity(uris.len() + dns.len());
        for uri in uris {
            sans.push(SanType::URI((*uri).try_into()?));
        }
        for name in dns {
            sans.push(SanType::DnsName((*name).try_into()?));
        }
        self.client_with(common_name, sans)
    }

    /// A client certificate with these SANs, whatever they are (also ones that ought to be refused).
    pub fn client_with(
        &mut self,
        common_name: &str,
        sans: Vec<SanType>,
    ) -> Result<DevCertificate, DevCertificateError> {
        self.sign(common_name, sans, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A revocation list (PEM) that names these certificates, and is itself valid as long as they are.
    pub fn revocation_list(&self, revoked: &[&DevCertificate]) -> Result<String, DevCertificateError> {
        self.list(self.not_before, revoked)
    }

    /// A revocation list (PEM) as [`DevCertificates::revocation_list`] would have made at `then`.
    pub fn revocation_list_of(
        &self,
        then: Timestamp,
        revoked: &[&DevCertificate],
    ) -> Result<String, DevCertificateError> {
        self.list(date(then), revoked)
    }

    fn list(&self, this_update: OffsetDateTime, revoked: &[&DevCertificate]) -> Result<String, DevCertificateError> {
        let entry = |certificate: &&DevCertificate| RevokedCertParams {
            serial_number: certificate.serial.clone(),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update,
            next_update: this_update.saturating_add(VALIDITY),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    fn sign(
        &mut self,
        common_name: &str,
        sans: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<DevCertificate, DevCertificateError> {
        let key = KeyPair::generate()?;
        let serial = serial(&key);
        let mut params = params(self.not_before, common_name);
        params.subject_alt_names = sans;
        params.serial_number = Some(serial.clone());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(DevCertificate { chain_pem: certificate.pem(), key_pem: Secret::new(key.serialize_pem()), serial })
    }
}

/// As hard to guess as the key is, so longer than the 64 bits that are asked of public CAs; positive, and of 16 bytes
/// whatever it begins with.
fn serial(key: &KeyPair) -> SerialNumber {
    let mut bytes = sha256(key.public_key_raw());
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&bytes[..16])
}

fn date(at: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn params(not_before: OffsetDateTime, common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = not_before;
    params.not_after = not_before.saturating_add(VALIDITY);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;
    use crate::model::{Clock, SystemClock};

    fn accepts(ca: &DevCertificates, certificate: &DevCertificate, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let der = CertificateDer::from_pem_slice(certificate.chain_pem.as_bytes()).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(SystemClock.now().as_secs()));
        verifier.verify_server_cert(&der, &[], &ServerName::try_from(name).unwrap(), &[], now).is_ok()
    }

    #[test]
    fn a_server_certificate_verifies_for_its_names_only() {
        let mut ca = DevCertificates::new(SystemClock.now()).unwrap();
        let certificate = ca.server(&["localhost", "*.dev.example", "127.0.0.1"]).unwrap();
        for name in ["localhost", "a.dev.example", "127.0.0.1"] {
            assert!(accepts(&ca, &certificate, name), "{name}");
        }
        for name in ["dev.example", "127.0.0.2", "example.com"] {
            assert!(!accepts(&ca, &certificate, name), "{name}");
        }
        let other = DevCertificates::new(SystemClock.now()).unwrap();
        assert!(!accepts(&other, &certificate, "localhost"));
    }

    #[test]
    fn a_client_certificate_serves_no_names() {
        let mut ca = DevCertificates::new(SystemClock.now()).unwrap();
        let certificate = ca.client("orders", &["spiffe://dev/orders"], &["localhost"]).unwrap();
        assert!(!accepts(&ca, &certificate, "localhost"));
    }
}
