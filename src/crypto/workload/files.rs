//! An SVID as files, which listeners and upstreams name like any others.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use super::message::Svid;

/// The chain, its key, and the CAs of the trust domain.
pub const FILES: [&str; 3] = ["svid.pem", "svid.key", "bundle.pem"];

/// Checks that the SVID is one, and writes it; the text of the error says what is wrong with it.
pub(super) fn write(svid: &Svid, folder: &Path) -> Result<(), String> {
    let (chain, bundle) = (certificates(&svid.chain)?, certificates(&svid.bundle)?);
    let end = chain.first().ok_or("it has no certificate")?;
    if uri(end).as_deref() != Some(&svid.spiffe_id) || !svid.spiffe_id.starts_with("spiffe://") {
        return Err("its certificate is not for its SPIFFE ID".to_owned());
    }
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(svid.key.expose().as_slice())).clone_key();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain.clone(), key, &provider).map_err(|_| "its key does not belong to its certificate")?;
    let mut roots = RootCertStore::empty();
    bundle.iter().try_for_each(|ca| roots.add(ca.clone())).map_err(|_| "its bundle holds what is no trust anchor")?;
    if roots.is_empty() {
        return Err("its bundle is empty".to_owned());
    }

    let failed = |problem: std::io::Error| format!("`{}`: {problem}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let key = Zeroizing::new(pem("PRIVATE KEY", svid.key.expose()));
    let texts = [&all("CERTIFICATE", &chain), &*key, &all("CERTIFICATE", &bundle)];
    // Whoever watches waits until nothing changes any more, and keeps what it has while chain and key differ.
    FILES.iter().zip(texts).try_for_each(|(name, text)| replace(folder, name, text)).map_err(failed)
}

/// Whole or not at all; readable for the owner alone.
fn replace(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let beside = folder.join(format!(".{name}.new"));
    let _ = std::fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&beside, folder.join(name))
}

/// DER values that follow each other.
fn certificates(mut der: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (rest, _) = X509Certificate::from_der(der).map_err(|_| "it holds what is no certificate")?;
        let one = der.get(..der.len() - rest.len()).unwrap_or_default();
        found.push(one.to_vec().into());
        der = rest;
    }
    Ok(found)
}

/// The one URI of a certificate (X.509-SVID, section 2).
fn uri(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let first = uris.next()?;
    uris.next().is_none().then(|| first.to_owned())
}

fn all(label: &str, ders: &[CertificateDer<'_>]) -> String {
    ders.iter().map(|der| pem(label, der)).collect()
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut pem = String::with_capacity(text.len() + text.len() / 32 + 64);
    pem.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}
