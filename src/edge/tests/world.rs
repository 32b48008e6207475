use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;

use super::Files;
use crate::crypto::dev_certs::{DevCertificate, DevCertificates};
use crate::model::settings::{CertificateFiles, ClientAuth, TlsSettings};
use crate::model::{Clock, SystemClock};

/// A CA, the files that it made, and settings that use them.
pub(super) struct World {
    pub(super) files: Files,
    pub(super) ca: DevCertificates,
}

impl World {
    pub(super) fn new() -> Self {
        Self { files: Files::new(), ca: DevCertificates::new(SystemClock.now()).unwrap() }
    }

    pub(super) fn certificate(&mut self, name: &str, hosts: &[&str]) -> CertificateFiles {
        let made = self.ca.server(hosts).unwrap();
        CertificateFiles {
            chain: self.files.write(&format!("{name}.pem"), &made.chain_pem),
            key: self.files.write(&format!("{name}.key"), made.key_pem.expose()),
        }
    }

    pub(super) fn tls(&mut self) -> TlsSettings {
        TlsSettings {
            certificates: vec![self.certificate("main", &["localhost"])],
            client_auth: None,
            hosts: Vec::new(),
            tls12: true,
        }
    }

    pub(super) fn client_auth(&self, required: bool) -> ClientAuth {
        ClientAuth { required, ca: self.files.write("clients.pem", &self.ca.ca_pem()), crls: Vec::new() }
    }

    /// A client that trusts the CA.
    pub(super) fn client(&self, alpn: &[&[u8]], certificate: Option<&DevCertificate>) -> ClientConfig {
        let mut config = self.client_of(rustls::DEFAULT_VERSIONS, certificate);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// The same for these versions of TLS.
    pub(super) fn client_of(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        certificate: Option<&DevCertificate>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        match certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.chain_pem.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(certificate.key_pem.expose().as_bytes()).unwrap(),
                )
                .unwrap(),
        }
    }
}

/// Takes any certificate: for tests of which one is presented.
#[derive(Debug)]
pub(super) struct AnyCertificate;

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
