//! What is in a file: PEM with any text around it, or DER.

use std::io::Read;
use std::path::Path;

use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer,
    PrivateSec1KeyDer,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use zeroize::Zeroizing;

/// Longest file that is read.
const MAX_SIZE: u64 = 16 * 1024 * 1024;

/// One thing in a file.
pub(super) enum Item {
    Certificate(CertificateDer<'static>),
    Key(PrivateKeyDer<'static>),
    /// A private key under a passphrase.
    EncryptedKey,
    List(CertificateRevocationListDer<'static>),
    Request(Vec<u8>),
}

/// All of a file, in its order; `-` is standard input.
pub(super) fn file(path: &Path) -> Result<Vec<Item>, String> {
    let mut content = Zeroizing::new(Vec::new());
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_SIZE).read_to_end(&mut content)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_SIZE).read_to_end(&mut content))
    };
    read.map_err(|problem| problem.to_string())?;
    items(&content)
}

pub(super) fn items(content: &[u8]) -> Result<Vec<Item>, String> {
    let is_pem = memchr::memmem::find(content, b"-----BEGIN ").is_some();
    let items = if is_pem { pem(content)? } else { der(content).into_iter().collect() };
    if items.is_empty() {
        return Err(
            "there is no certificate, key, revocation list or request in it, neither as PEM nor as DER".to_owned()
        );
    }
    Ok(items)
}

fn pem(content: &[u8]) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    if memchr::memmem::find(content, b"-----BEGIN ENCRYPTED PRIVATE KEY-----").is_some() {
        items.push(Item::EncryptedKey);
    }
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(content) {
        let (kind, der) = section.map_err(|problem| format!("its PEM is broken: {problem}"))?;
        items.extend(match kind {
            SectionKind::Certificate => Some(Item::Certificate(der.into())),
            SectionKind::PrivateKey => Some(Item::Key(PrivatePkcs8KeyDer::from(der).into())),
            SectionKind::RsaPrivateKey => Some(Item::Key(PrivatePkcs1KeyDer::from(der).into())),
            SectionKind::EcPrivateKey => Some(Item::Key(PrivateSec1KeyDer::from(der).into())),
            SectionKind::Crl => Some(Item::List(der.into())),
            SectionKind::Csr => Some(Item::Request(der)),
            _ => None,
        });
    }
    Ok(items)
}

fn der(content: &[u8]) -> Option<Item> {
    if X509Certificate::from_der(content).is_ok() {
        return Some(Item::Certificate(content.to_vec().into()));
    }
    if CertificateRevocationList::from_der(content).is_ok() {
        return Some(Item::List(content.to_vec().into()));
    }
    if X509CertificationRequest::from_der(content).is_ok() {
        return Some(Item::Request(content.to_vec()));
    }
    PrivateKeyDer::try_from(content.to_vec()).ok().map(Item::Key)
}
