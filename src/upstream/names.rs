//! Which certificates an endpoint may have, where that is not a matter of its host (SPIFFE, above all).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Verifies a chain as always, and instead of the endpoint's host that the certificate carries one of some names.
#[derive(Debug)]
pub(super) struct NameVerifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    uris: Vec<Arc<str>>,
    hosts: Vec<ServerName<'static>>,
}

impl NameVerifier {
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        algorithms: WebPkiSupportedAlgorithms,
        names: &[Arc<str>],
    ) -> Result<Self, String> {
        let (uris, hosts): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| name.contains(':'));
        let hosts = hosts
            .into_iter()
            .map(|host| ServerName::try_from(host.to_string()).map_err(|_| format!("`{host}` is no DNS name")))
            .collect::<Result<_, _>>()?;
        Ok(Self { roots, algorithms, uris, hosts })
    }

    fn names(&self, certificate: &ParsedCertificate<'_>, der: &[u8]) -> Result<(), Error> {
        let carried = uris(der).ok_or(CertificateError::BadEncoding)?;
        let by_uri = carried.iter().any(|uri| self.uris.iter().any(|wanted| **wanted == **uri));
        if by_uri || self.hosts.iter().any(|host| verify_server_name(certificate, host).is_ok()) {
            Ok(())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }
}

/// The URIs of a certificate. `None` where a name in it holds NUL, another control character or what is not ASCII: it
/// would mean one thing here and another where it is cut short (f53).
fn uris(der: &[u8]) -> Option<Vec<String>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut uris = Vec::new();
    if let Some(names) = certificate.subject_alternative_name().ok()? {
        for name in &names.value.general_names {
            let text = match name {
                GeneralName::URI(text) | GeneralName::DNSName(text) | GeneralName::RFC822Name(text) => *text,
                GeneralName::Invalid(..) => return None,
                _ => continue,
            };
            if !text.bytes().all(|b| b.is_ascii_graphic()) {
                return None;
            }
            if matches!(name, GeneralName::URI(_)) {
                uris.push(text.to_owned());
            }
        }
    }
    Some(uris)
}

impl ServerCertVerifier for NameVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        self.names(&certificate, end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, Issuer, KeyPair, SanType};

    use super::*;

    /// Whether a certificate with these names, of a CA that is trusted or not, is good for one of `wanted`.
    fn verified(wanted: &[&str], sans: Vec<SanType>, trusted: bool) -> Result<(), Error> {
        let ca = || {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).unwrap();
            (Issuer::new(params, key), certificate)
        };
        let (issuer, certificate) = ca();
        let mut roots = RootCertStore::empty();
        roots.add(if trusted { certificate.der().clone() } else { ca().1.der().clone() }).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let end_entity = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        let names: Vec<Arc<str>> = wanted.iter().map(|name| Arc::from(*name)).collect();
        let verifier = NameVerifier::new(Arc::new(roots), algorithms, &names).unwrap();
        let host = ServerName::try_from("endpoint.example").unwrap();
        verifier.verify_server_cert(end_entity.der(), &[], &host, &[], UnixTime::now()).map(drop)
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn one_of_the_names_is_needed_and_a_chain_that_is_trusted() {
        let spiffe = "spiffe://prod/ns/shop/sa/orders";
        assert_eq!(verified(&[spiffe], vec![uri(spiffe)], true), Ok(()));
        assert_eq!(verified(&["other.example", spiffe], vec![dns("x.example"), uri(spiffe)], true), Ok(()));
        assert_eq!(verified(&["orders.internal"], vec![dns("orders.internal")], true), Ok(()));
        assert!(verified(&[spiffe], vec![uri(spiffe)], false).is_err());
        for (wanted, sans) in [
            (spiffe, vec![uri("spiffe://prod/ns/shop/sa/order")]),
            (spiffe, vec![uri("spiffe://prod/ns/shop/sa/orders/x")]),
            (spiffe, vec![uri("SPIFFE://prod/ns/shop/sa/orders")]),
            ("orders.internal", vec![dns("endpoint.example")]),
            ("orders.internal", vec![uri("spiffe://orders.internal")]),
            ("orders.internal", vec![]),
        ] {
            let why = verified(&[wanted], sans.clone(), true).unwrap_err();
            assert!(
                matches!(why, Error::InvalidCertificate(CertificateError::NotValidForName)),
                "{wanted} {sans:?} {why}"
            );
        }
    }

    #[test]
    fn f53_a_name_with_nul_makes_a_certificate_good_for_nothing() {
        for bad in ["spiffe://prod/x\0.evil", "spiffe://prod/x\r\n", "spiffe://prod/x\u{7f}"] {
            assert!(verified(&["spiffe://prod/x"], vec![uri("spiffe://prod/x"), uri(bad)], true).is_err(), "{bad:?}");
        }
    }
}
