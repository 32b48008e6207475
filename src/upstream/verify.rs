//! Verifies the certificates of endpoints: by their host, or by names that were configured.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::names::Names;
use crate::model::settings::CertifiedName;

/// Whom an upstream's endpoints may be vouched for by, and who no longer.
pub(super) struct Trust {
    pub(super) roots: Arc<RootCertStore>,
    /// With any, each certificate of a chain must be on none of them, and its issuer must have one that has not expired.
    pub(super) revoked: Vec<CertificateRevocationListDer<'static>>,
}

/// Who goes by the endpoint's host where there are no names.
pub(super) fn verifier(
    trust: &Trust,
    names: &[CertifiedName],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let by_host = WebPkiServerVerifier::builder_with_provider(trust.roots.clone(), provider.clone())
        .with_crls(trust.revoked.iter().cloned())
        // Without this a list that has expired is taken as current.
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| error.to_string())?;
    if names.is_empty() {
        return Ok(by_host);
    }
    let (names, roots) = (Names::new(names)?, trust.roots.clone());
    let revoked = (!trust.revoked.is_empty()).then(|| by_host.clone());
    Ok(Arc::new(NameVerifier { names, roots, provider: provider.clone(), revoked, by_host }))
}

/// Verifies a chain as always, and instead of the endpoint's host that the certificate carries one of some names.
#[derive(Debug)]
struct NameVerifier {
    names: Names,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    /// Who knows the revocation lists, where there are any.
    revoked: Option<Arc<WebPkiServerVerifier>>,
    /// Who knows how signatures are verified.
    by_host: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for NameVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        if let Some(verifier) = &self.revoked {
            // It asks for the host last: that this is another one says that all else is well.
            match verifier.verify_server_cert(end_entity, intermediates, host, ocsp, now) {
                Ok(_) | Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })) => {}
                Err(other) => return Err(other),
            }
        }
        self.names.check(&certificate, end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_host.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_host.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_host.supported_verify_schemes()
    }
}

/// Why there is no TLS, in words: rustls shows what verifiers of others say only as they are for debugging.
pub(super) fn told(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::Other(other))) => other.to_string(),
        _ => error.to_string(),
    }
}

/// Seconds from the epoch to the end of a certificate's time.
pub(super) fn not_after(der: &[u8]) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    u64::try_from(certificate.validity().not_after.timestamp()).ok()
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
