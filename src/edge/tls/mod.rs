//! TLS: certificates from files, SNI, client certificates, sessions.

mod client;
mod files;
mod names;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) use client::client_certificate;
use files::{certificates, private_key, revocation_lists};
use names::Certificates;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::model::settings::{CertificateFiles, ClientAuth, TlsSettings};
use crate::model::{Clock, Timestamp};

/// ALPN names (RFC 7301).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// A listener's TLS.
pub(super) struct Tls {
    /// Tickets and session storage are this configuration's own: a session resumes what was verified when it began, so it
    /// must not outlive the CA bundle and the certificates that it was verified against.
    pub(super) server: Arc<ServerConfig>,
    /// Of client certificates, where they are asked for.
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Whether every client must have one.
    pub(super) demands_certificate: bool,
    settings: TlsSettings,
    /// Of all that stood in its files.
    digest: [u8; 32],
}

impl Tls {
    /// Its files read and checked; `known` where they say what they said then. The text of the error says what is wrong,
    /// and with which file.
    pub(super) fn load(
        settings: &TlsSettings,
        clock: &dyn Clock,
        known: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, String> {
        // Taken before the files are used: should one change in between, that is noticed the next time.
        let digest = files::digest(settings);
        if let Some(known) = known.filter(|known| known.settings == *settings && known.digest == digest) {
            return Ok(Arc::clone(known));
        }
        let (server, verifier) = server_config(settings, clock)?;
        let demands_certificate = settings.client_auth.as_ref().is_some_and(|auth| auth.required);
        Ok(Arc::new(Self { server, verifier, demands_certificate, settings: settings.clone(), digest }))
    }

    /// Whether a connection whose client has this chain, verified under other terms, would come about under these.
    pub(super) fn still_accepts(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> bool {
        let (Some(verifier), Some((end, intermediates))) = (&self.verifier, chain.split_first()) else { return false };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
        verifier.verify_client_cert(end, intermediates, now).is_ok()
    }
}

type Verifier = Arc<dyn ClientCertVerifier>;

fn server_config(tls: &TlsSettings, clock: &dyn Clock) -> Result<(Arc<ServerConfig>, Option<Verifier>), String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        if tls.tls12 { &[&rustls::version::TLS13, &rustls::version::TLS12] } else { &[&rustls::version::TLS13] };

    let mut resolver = Certificates::default();
    for files in &tls.certificates {
        let (key, end) = certified_key(files, &provider)?;
        warn_of_validity(&files.chain, &end, clock.now());
        if resolver.add(key, &end.names) {
            continue;
        }
        tracing::warn!(file = %files.chain.display(), "certificate names no host: clients that name one never get it");
    }
    if resolver.is_empty() {
        return Err("tls.certificates is empty: name at least one { chain = …, key = … }".to_owned());
    }

    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    let verifier = tls.client_auth.as_ref().map(|auth| client_verifier(auth, &provider)).transpose()?;
    let builder = match &verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    // What is sent before the handshake ends can be replayed.
    config.max_early_data_size = 0;
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
    Ok((Arc::new(config), verifier))
}

/// What is told of an end-entity certificate.
struct EndEntity {
    /// DNS names of its SAN, lower case.
    names: Vec<String>,
    not_before: i64,
    not_after: i64,
}

fn certified_key(files: &CertificateFiles, provider: &CryptoProvider) -> Result<(CertifiedKey, EndEntity), String> {
    let (chain_file, key_file) = (files.chain.display(), files.key.display());
    let chain = certificates(&files.chain)?;
    let end = chain.first().and_then(|der| end_entity(der)).ok_or_else(|| {
        format!(
            "`{chain_file}`: its first certificate cannot be read; expected the server's own, before those of its CA"
        )
    })?;
    let key = private_key(&files.key)?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => format!(
            "the key in `{key_file}` does not belong to the first certificate in `{chain_file}`; the server's own \
             certificate must come first, and the key must be the one that it was issued for"
        ),
        other => format!("the key in `{key_file}` cannot be used: {other}"),
    })?;
    Ok((certified, end))
}

fn end_entity(der: &[u8]) -> Option<EndEntity> {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let san = certificate.subject_alternative_name().ok()?;
    let names = san
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    let validity = certificate.validity();
    Some(EndEntity { names, not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() })
}

/// Out of date is a warning, not an error: a restart must not turn a certificate that clients complain of into an outage.
fn warn_of_validity(file: &Path, end: &EndEntity, now: Timestamp) {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now > end.not_after {
        tracing::warn!(file = %file.display(), "certificate has expired");
    } else if now < end.not_before {
        tracing::warn!(file = %file.display(), "certificate is not valid yet");
    }
}

fn client_verifier(auth: &ClientAuth, provider: &Arc<CryptoProvider>) -> Result<Verifier, String> {
    let ca = auth.ca.display();
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&auth.ca)? {
        roots.add(certificate).map_err(|error| format!("`{ca}`: a certificate in it is no trust anchor: {error}"))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    for file in &auth.crls {
        builder = builder.with_crls(revocation_lists(file)?);
    }
    // Without this an expired list is taken as current (rustls' default): it fails open.
    builder = builder.enforce_revocation_expiration();
    if !auth.required {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| format!("client_auth with `{ca}` cannot be used: {error}"))
}
