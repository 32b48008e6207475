//! Who has signed a certificate or a revocation list.

use x509_parser::certificate::X509Certificate;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::X509Name;

/// Whether `issuer` is who `certificate` says has signed it, and has done so with an algorithm that is not broken.
pub fn signed_certificate(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    let signature = &certificate.signature_value.data;
    signed(issuer, certificate.issuer(), certificate.tbs_certificate.as_ref(), signature)
}

/// The same of a revocation list.
pub fn signed_list(issuer: &X509Certificate<'_>, list: &CertificateRevocationList<'_>) -> bool {
    signed(issuer, list.issuer(), list.tbs_cert_list.as_ref(), &list.signature_value.data)
}

/// No algorithm takes a signature or a key that is another one's, so that it is enough to try them.
fn signed(issuer: &X509Certificate<'_>, named: &X509Name<'_>, message: &[u8], signature: &[u8]) -> bool {
    let key = &issuer.public_key().subject_public_key.data;
    let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    issuer.subject().as_raw() == named.as_raw()
        && algorithms.all.iter().any(|algorithm| algorithm.verify_signature(key, message, signature).is_ok())
}
