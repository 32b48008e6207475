//! When the certificates and revocation lists end that the settings name.

use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::model::expiry::{Expiry, ExpiryKind, Lifetime};
use crate::model::settings::{Settings, UpstreamTls};
use crate::model::{Secret, Timestamp};

/// Of all files. What cannot be read says nothing: whoever uses the file says what is wrong with it.
pub fn of(settings: &Settings) -> Vec<Expiry> {
    let mut all = Vec::new();
    for listener in &settings.listeners {
        let Some(tls) = &listener.tls else { continue };
        let mut add = |kind, file: &Path| add(&mut all, kind, &listener.name, file);
        tls.certificates.iter().for_each(|files| add(ExpiryKind::Listener, &files.chain));
        for auth in tls.client_auth.iter().chain(tls.hosts.iter().flat_map(|host| &host.client_auth)) {
            add(ExpiryKind::ClientCa, &auth.ca);
            auth.crls.iter().for_each(|file| add(ExpiryKind::Crl, file));
        }
    }
    for upstream in &settings.upstreams {
        let UpstreamTls { ca, certificate, crls, .. } = &upstream.tls;
        let mut add = |kind, file: &Path| add(&mut all, kind, &upstream.name, file);
        certificate.iter().for_each(|files| add(ExpiryKind::Upstream, &files.chain));
        ca.iter().for_each(|file| add(ExpiryKind::UpstreamCa, file));
        crls.iter().for_each(|file| add(ExpiryKind::UpstreamCrl, file));
    }
    all
}

/// Once, however often it is named.
fn add(all: &mut Vec<Expiry>, kind: ExpiryKind, name: &str, file: &Path) {
    let found = expiry(kind, name, file);
    let found = found.filter(|found| !all.contains(found));
    all.extend(found);
}

fn expiry(kind: ExpiryKind, name: &str, file: &Path) -> Option<Expiry> {
    // A key may stand in the same file.
    let text = Secret::new(std::fs::read(file).ok()?);
    let lifetimes = lifetimes(kind, text.expose());
    let file = file.display().to_string().into();
    (!lifetimes.is_empty()).then(|| Expiry { kind, name: name.into(), file, lifetimes })
}

fn lifetimes(kind: ExpiryKind, text: &[u8]) -> Vec<Lifetime> {
    match kind {
        ExpiryKind::Crl | ExpiryKind::UpstreamCrl => CertificateRevocationListDer::pem_slice_iter(text)
            .filter_map(|list| {
                let list = list.ok()?;
                let (_, list) = CertificateRevocationList::from_der(&list).ok()?;
                lifetime(list.last_update().timestamp(), list.next_update()?.timestamp())
            })
            .collect(),
        _ => CertificateDer::pem_slice_iter(text)
            .filter_map(|certificate| {
                let certificate = certificate.ok()?;
                let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
                let validity = certificate.validity();
                lifetime(validity.not_before.timestamp(), validity.not_after.timestamp())
            })
            .collect(),
    }
}

fn lifetime(from: i64, until: i64) -> Option<Lifetime> {
    let time = |seconds: i64| Timestamp::from_secs(u64::try_from(seconds).unwrap_or_default());
    Some(Lifetime { from: time(from), until: time(until) })
}
