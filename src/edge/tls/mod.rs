//! TLS: certificates from files, SNI, client certificates, sessions.

mod client;
mod files;
mod names;
mod verify;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) use client::{client_certificate, end};
use files::{certificates, private_key, revocation_lists};
use names::Certificates;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, UnixTime};
pub(super) use verify::{Presented, Reason as CertificateReason, Refusal, explained};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::model::settings::{CertificateFiles, ClientAuth, TlsSettings};
use crate::model::{Clock, Timestamp};

/// ALPN names (RFC 7301).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// A listener's TLS.
pub(super) struct Tls {
    /// For clients that ask for none of the names in `hosts`.
    own: Profile,
    /// One for each of the settings' hosts, in their order.
    hosts: Vec<Profile>,
    certificates: Arc<Certificates>,
    settings: TlsSettings,
    /// Of all that stood in its files.
    digest: [u8; 32],
}

/// How one name is served.
struct Profile {
    /// Tickets and session storage are this profile's own: a session resumes what was verified when it began, so it must
    /// not outlive the CA bundle and the certificates that it was verified against, nor open another name.
    server: Arc<ServerConfig>,
    /// Of client certificates, where they are asked for.
    verifier: Option<Verifier>,
    /// From when on each of its revocation lists says nothing any more.
    list_ends: Vec<Timestamp>,
    /// From when on each CA of its bundle is not valid any more.
    ca_ends: Vec<Timestamp>,
}

impl Tls {
    /// Its files read and checked; `known` where they say what they said then. The text of the error says what is wrong,
    /// and with which file.
    pub(super) fn load(
        settings: &TlsSettings,
        clock: &Arc<dyn Clock>,
        known: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, String> {
        // Taken before the files are used: should one change in between, that is noticed the next time.
        let digest = files::digest(settings);
        if let Some(known) = known.filter(|known| known.settings == *settings && known.digest == digest) {
            return Ok(Arc::clone(known));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certificates = Arc::new(server_certificates(settings, &provider, clock.now())?);
        let profile = |auth: Option<&ClientAuth>| {
            let time = Arc::new(Time(Arc::clone(clock)));
            Profile::new(settings.tls12, auth, Arc::clone(&certificates), &provider, time)
        };
        let own = profile(settings.client_auth.as_ref())?;
        let hosts = settings.hosts.iter().map(|host| profile(host.client_auth.as_ref()));
        let hosts = hosts.collect::<Result<_, String>>()?;
        Ok(Arc::new(Self { own, hosts, certificates, settings: settings.clone(), digest }))
    }

    /// What a client is served with that asks for this name.
    pub(super) fn server(&self, name: Option<&str>) -> Arc<ServerConfig> {
        Arc::clone(&self.profile(name).server)
    }

    /// SAN URIs of the certificate that clients are shown that ask for this name.
    pub(super) fn shown(&self, name: Option<&str>) -> Arc<[String]> {
        self.certificates.uris(name)
    }

    /// Whether some clients need a certificate that need none under `before`.
    pub(super) fn demands_more_than(&self, before: &Self) -> bool {
        self.settings.demands_more_than(&before.settings)
    }

    /// Whether a connection for this name whose client has this chain, verified under other terms, would come about under
    /// these.
    pub(super) fn still_accepts(&self, name: Option<&str>, chain: &[CertificateDer<'_>], now: Timestamp) -> bool {
        let verifier = &self.profile(name).verifier;
        let (Some(verifier), Some((end, intermediates))) = (verifier, chain.split_first()) else { return false };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
        verifier.verify_client_cert(end, intermediates, now).is_ok()
    }

    /// Whether nothing has ended by now that the verification of a chain with these ends may rest on: what was good for a
    /// client that asked for this name still is, without another look.
    pub(super) fn nothing_has_ended(&self, name: Option<&str>, chain: &[Timestamp], now: Timestamp) -> bool {
        let Profile { list_ends, ca_ends, .. } = self.profile(name);
        [chain, list_ends, ca_ends].into_iter().flatten().all(|end| now < *end)
    }

    /// From when on each of the revocation lists says nothing any more.
    pub(super) fn list_ends(&self) -> Vec<Timestamp> {
        std::iter::once(&self.own).chain(&self.hosts).flat_map(|profile| &profile.list_ends).copied().collect()
    }

    fn profile(&self, name: Option<&str>) -> &Profile {
        self.settings.host_of(name).and_then(|at| self.hosts.get(at)).unwrap_or(&self.own)
    }
}

type Verifier = Arc<dyn ClientCertVerifier>;

impl Profile {
    fn new(
        tls12: bool,
        auth: Option<&ClientAuth>,
        certificates: Arc<Certificates>,
        provider: &Arc<CryptoProvider>,
        time: Arc<Time>,
    ) -> Result<Self, String> {
        let versions: &[&rustls::SupportedProtocolVersion] =
            if tls12 { &[&rustls::version::TLS13, &rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
        let builder = ServerConfig::builder_with_details(Arc::clone(provider), time)
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?;
        let verifier = auth.map(|auth| verify::Verifier::load(auth, provider)).transpose()?;
        let verifier = verifier.map(|verifier| Arc::new(verifier) as Verifier);
        let list_ends = auth.map_or_else(|| Ok(Vec::new()), list_ends)?;
        let ca_ends = auth.map_or_else(|| Ok(Vec::new()), ca_ends)?;
        let builder = match &verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        };
        let mut server = builder.with_cert_resolver(certificates);
        server.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        // What is sent before the handshake ends can be replayed.
        server.max_early_data_size = 0;
        server.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
        Ok(Self { server: Arc::new(server), verifier, list_ends, ca_ends })
    }
}

/// The time that certificates and revocation lists are held to.
struct Time(Arc<dyn Clock>);

impl rustls::time_provider::TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().0)))
    }
}

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Time")
    }
}

fn server_certificates(tls: &TlsSettings, provider: &CryptoProvider, now: Timestamp) -> Result<Certificates, String> {
    let mut resolver = Certificates::default();
    for files in &tls.certificates {
        let (key, end) = certified_key(files, provider)?;
        warn_of_validity(&files.chain, &end, now);
        if resolver.add(key, &end.names, end.uris) {
            continue;
        }
        tracing::warn!(file = %files.chain.display(), "certificate names no host: clients that name one never get it");
    }
    if resolver.is_empty() {
        return Err("tls.certificates is empty: name at least one { chain = …, key = … }".to_owned());
    }

    Ok(resolver)
}

/// What is told of an end-entity certificate.
struct EndEntity {
    /// DNS names of its SAN, lower case.
    names: Vec<String>,
    /// URIs of its SAN.
    uris: Vec<String>,
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
    let (mut names, mut uris) = (Vec::new(), Vec::new());
    for name in san.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
            GeneralName::URI(uri) => uris.push((*uri).to_owned()),
            _ => {}
        }
    }
    let validity = certificate.validity();
    Some(EndEntity {
        names,
        uris,
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
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

/// When each CA ends; one that does not say so has ended.
fn ca_ends(auth: &ClientAuth) -> Result<Vec<Timestamp>, String> {
    Ok(certificates(&auth.ca)?.iter().map(|ca| end(ca).unwrap_or(Timestamp(0))).collect())
}

/// `nextUpdate` of each list, where it has one.
fn list_ends(auth: &ClientAuth) -> Result<Vec<Timestamp>, String> {
    let mut ends = Vec::new();
    for file in &auth.crls {
        for list in revocation_lists(file)? {
            let (_, list) = CertificateRevocationList::from_der(&list)
                .map_err(|error| format!("`{}`: a revocation list in it cannot be read: {error}", file.display()))?;
            let end = list.next_update().and_then(|end| u64::try_from(end.timestamp()).ok());
            ends.extend(end.map(Timestamp::from_secs));
        }
    }
    Ok(ends)
}
