//! PEM files.

use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::crypto::digest::sha256;
use crate::model::settings::TlsSettings;

/// All certificates in a file; at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    all(file, "CERTIFICATE")
}

/// All revocation lists in a file; at least one.
pub(super) fn revocation_lists(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    all(file, "X509 CRL")
}

/// The first private key in a file: PKCS#8, PKCS#1 or SEC1.
pub(super) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = Zeroizing::new(read(file)?);
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if memchr::memmem::find(&text, b"ENCRYPTED PRIVATE KEY").is_some() => format!(
            "the private key in `{}` is encrypted; expected one without a passphrase (`openssl pkey -in … -out …`)",
            file.display()
        ),
        pem::Error::NoItemsFound => {
            format!("`{}` holds no private key; expected a PEM block `PRIVATE KEY`", file.display())
        }
        other => format!("`{}` is not valid PEM: {other}", file.display()),
    })
}

/// Of all that stands in the files that the settings name; what cannot be read counts as nothing.
pub(super) fn digest(settings: &TlsSettings) -> [u8; 32] {
    let of_certificates = settings.certificates.iter().flat_map(|files| [&files.chain, &files.key]);
    let asked = settings.client_auth.iter().chain(settings.hosts.iter().flat_map(|host| &host.client_auth));
    let of_clients = asked.flat_map(|auth| std::iter::once(&auth.ca).chain(&auth.crls));
    let contents = of_certificates.chain(of_clients).map(|file| std::fs::read(file).map(Zeroizing::new));
    let digests: Vec<[u8; 32]> = contents.map(|content| content.map_or([0; 32], |content| sha256(&content))).collect();
    sha256(digests.as_flattened())
}

fn all<T: PemObject>(file: &Path, block: &str) -> Result<Vec<T>, String> {
    let text = read(file)?;
    let items: Vec<T> = T::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("`{}` is not valid PEM: {error}", file.display()))?;
    if items.is_empty() {
        return Err(format!("`{}` holds no certificate data; expected PEM blocks `{block}`", file.display()));
    }
    Ok(items)
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))
}
