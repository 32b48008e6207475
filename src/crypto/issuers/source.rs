//! Where an issuer's keys come from.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

use super::fetch::{LARGEST, get};
use super::snapshot::Snapshot;
use super::target::Target;
use crate::crypto::jwt::json;
use crate::crypto::key::set::KeySet;
use crate::crypto::key::{Material, pem};
use crate::crypto::shown::Shown;
use crate::model::settings::{IssuerSettings, JwksSettings, KeySource};

/// Keys that are here, or the place where they are.
pub(super) enum Origin {
    Local(KeySet),
    Remote(Remote),
}

/// A JWKS behind a URL of the configuration, or behind the discovery document there.
pub(super) struct Remote {
    pub(super) jwks: JwksSettings,
    target: Target,
    is_discovery: bool,
    tls: Arc<ClientConfig>,
    /// Tells the certificates apart that vouch for the server; those of the system are all one.
    vouchers: Vec<u8>,
    /// Where the last good set is kept, if it is.
    pub(super) snapshot: Option<Arc<Snapshot>>,
}

impl Origin {
    pub(super) fn open(settings: &IssuerSettings, trust: &mut Trust) -> Result<Self, String> {
        let allowed = &settings.algorithms;
        let (url, jwks, is_discovery) = match &settings.keys {
            KeySource::Discovery(jwks) => (discovery_url(&settings.issuer), jwks, true),
            KeySource::JwksUrl { url, jwks } => (url.clone(), jwks, false),
            KeySource::JwksFile(path) => {
                let set = KeySet::from_jwks(&read(path)?, allowed, true);
                return set.map(Self::Local).map_err(|e| format!("`{}`: {e}", path.display()));
            }
            KeySource::PemFile(path) => {
                let set = pem::read(&read(path)?).and_then(|key| KeySet::single(&key, allowed));
                return set.map(Self::Local).map_err(|e| format!("`{}`: {e}", path.display()));
            }
            KeySource::Secret(secret) => {
                return shared(&Material::Symmetric(secret.clone()), settings).map(Self::Local);
            }
        };
        let target = Target::parse(&url)?;
        // Read before they are used: should they change in between, it is told the next time.
        let vouchers = jwks.ca.as_deref().map(read).transpose()?.unwrap_or_default();
        let tls = trust.for_ca(jwks.ca.as_deref())?;
        let snapshot = jwks.snapshot.clone().map(|path| {
            Arc::new(Snapshot { path, issuer: Arc::clone(&settings.issuer), url: target.as_str().to_owned() })
        });
        Ok(Self::Remote(Remote { jwks: jwks.clone(), target, is_discovery, tls, vouchers, snapshot }))
    }
}

/// OpenID Connect Discovery 1.0, section 4.1.
fn discovery_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Every HMAC that the settings allow must be one that the secret is long enough for.
fn shared(secret: &Material, settings: &IssuerSettings) -> Result<KeySet, String> {
    for algorithm in settings.algorithms.iter().filter(|a| a.is_symmetric()) {
        KeySet::single(secret, &[*algorithm])?;
    }
    KeySet::single(secret, &settings.algorithms)
}

impl Remote {
    /// Whether the other trusts the same certificates.
    pub(super) fn trusts_like(&self, other: &Self) -> bool {
        self.vouchers == other.vouchers
    }

    /// The keys that are there now.
    pub(super) async fn fetch(&self, settings: &IssuerSettings) -> Result<KeySet, String> {
        let answer = if self.is_discovery {
            let document = get(&self.target, &self.tls).await?;
            let target = jwks_uri(&document, settings, &self.target)?;
            get(&target, &self.tls).await?
        } else {
            get(&self.target, &self.tls).await?
        };
        KeySet::from_jwks(&answer, &settings.algorithms, false)
    }
}

/// What a discovery document says of the keys, if it is this issuer's (OpenID Connect Discovery 1.0, section 4.3).
fn jwks_uri(document: &[u8], settings: &IssuerSettings, from: &Target) -> Result<Target, String> {
    let document = json::object(document).map_err(|e| format!("the discovery document {e}"))?;
    match document.get("issuer").and_then(Value::as_str) {
        Some(issuer) if issuer == &*settings.issuer => {}
        other => {
            let has = Shown(other.unwrap_or("none"));
            return Err(format!("the discovery document has issuer `{has}`, `{}` is wanted", settings.issuer));
        }
    }
    let uri = document.get("jwks_uri").and_then(Value::as_str);
    let target = Target::parse(uri.ok_or("the discovery document has no jwks_uri")?)?;
    if !target.is_https() && from.is_https() {
        return Err(format!("the discovery document leads from https to `{}`", Shown(target.as_str())));
    }
    Ok(target)
}

/// Which certificates vouch for key servers; the system's are read once, and only where they are needed.
#[derive(Default)]
pub(in crate::crypto) struct Trust {
    system: Option<Arc<ClientConfig>>,
}

impl Trust {
    pub(in crate::crypto) fn for_ca(&mut self, ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
        let Some(path) = ca else {
            if let Some(system) = &self.system {
                return Ok(Arc::clone(system));
            }
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let config = client_config(roots)?;
            self.system = Some(Arc::clone(&config));
            return Ok(config);
        };
        let unreadable = |e: &dyn std::fmt::Display| format!("ca `{}`: {e}", path.display());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
            let certificate = certificate.map_err(|e| unreadable(&e))?;
            roots.add(certificate).map_err(|e| unreadable(&e))?;
        }
        if roots.is_empty() {
            return Err(unreadable(&"holds no certificate in PEM"));
        }
        client_config(roots)
    }
}

fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| format!("TLS: {e}"))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A key file; what is larger than [`LARGEST`] is none.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |e| format!("`{}` cannot be read: {e}", path.display());
    let mut content = Vec::new();
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() > LARGEST {
        return Err(format!("`{}` is larger than {} KiB", path.display(), LARGEST / 1024));
    }
    Ok(content)
}
