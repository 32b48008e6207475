//! TLS to Redis: whom to trust, and what to present.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::model::settings::{CertificateFiles, RedisTls};
use crate::store::StoreError;

pub(super) fn connector(settings: &RedisTls) -> Result<TlsConnector, StoreError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| StoreError::Misconfigured(format!("TLS: {e}")))?
        .with_root_certificates(roots(settings.ca.as_deref())?);
    let config = match &settings.certificate {
        None => config.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = (chain(files)?, key(files)?);
            config.with_client_auth_cert(chain, key).map_err(|e| {
                StoreError::Misconfigured(format!(
                    "client certificate `{}` and key `{}` do not go together ({e}): \
                     `store.certificate` wants the chain, end entity first, and the key of its first certificate",
                    files.chain.display(),
                    files.key.display()
                ))
            })?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// What the certificate of this host must be for.
pub(super) fn name(host: &str) -> Result<ServerName<'static>, StoreError> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| StoreError::Misconfigured(format!("`{host}` cannot be the name in a certificate")))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let unusable = |e: &dyn Display| unusable("CA", path, e, "`store.ca` wants certificates, PEM");
            for certificate in certificates(path).map_err(|e| unusable(&e))? {
                roots.add(certificate).map_err(|e| unusable(&e))?;
            }
            if roots.is_empty() {
                return Err(unusable(&"there is no certificate in it"));
            }
        }
        // Systems carry certificates that rustls does not take; those are left out.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    Ok(roots)
}

fn chain(files: &CertificateFiles) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let fix = "`store.certificate.chain` wants the client certificate, then the ones between it and the CA, PEM";
    let unusable = |e: &dyn Display| unusable("client certificate", &files.chain, e, fix);
    let chain = certificates(&files.chain).map_err(|e| unusable(&e))?;
    if chain.is_empty() {
        return Err(unusable(&"there is no certificate in it"));
    }
    Ok(chain)
}

fn key(files: &CertificateFiles) -> Result<PrivateKeyDer<'static>, StoreError> {
    let fix = "`store.certificate.key` wants its private key without a passphrase, PEM";
    PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unusable("key of the client certificate", &files.key, &e, fix))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_file_iter(path)?.collect()
}

fn unusable(what: &str, path: &Path, problem: &dyn Display, fix: &str) -> StoreError {
    StoreError::Misconfigured(format!("{what} `{}`: {problem}; {fix}", path.display()))
}
