//! Which certificate a client gets.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates by the names they are for. The first one added serves clients that ask for no name, or for none of
/// these.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    all: Vec<Arc<Held>>,
    exact: HashMap<String, Vec<Arc<Held>>>,
    /// Under what follows `*.`.
    wildcard: HashMap<String, Vec<Arc<Held>>>,
}

impl Certificates {
    /// Adds one; whether any client that names a host can get it.
    pub(super) fn add(&mut self, key: CertifiedKey, names: &[String], uris: Vec<String>) -> bool {
        let key = Arc::new(Held { key: Arc::new(key), uris: uris.into() });
        for name in names {
            let (map, name) = match name.strip_prefix("*.") {
                Some(suffix) => (&mut self.wildcard, suffix),
                None => (&mut self.exact, name.as_str()),
            };
            map.entry(name.to_owned()).or_default().push(Arc::clone(&key));
        }
        self.all.push(key);
        !names.is_empty() || self.all.len() == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// SAN URIs of the certificate for a name; none where it could be one of several that differ in them.
    pub(super) fn uris(&self, name: Option<&str>) -> Arc<[String]> {
        match self.candidates(name) {
            [first, others @ ..] if others.iter().all(|other| other.uris == first.uris) => Arc::clone(&first.uris),
            _ => [].into(),
        }
    }

    /// All that fit a name: an exact one before a wildcard, which stands for one label (RFC 9525, section 6.3).
    fn candidates(&self, name: Option<&str>) -> &[Arc<Held>] {
        let Some(name) = name.map(str::to_ascii_lowercase) else { return &self.all };
        let name = name.trim_end_matches('.');
        self.exact
            .get(name)
            .or_else(|| self.wildcard.get(name.split_once('.')?.1))
            .map_or(self.all.as_slice(), Vec::as_slice)
    }
}

/// A certificate with its key, and its SAN URIs.
#[derive(Debug)]
struct Held {
    key: Arc<CertifiedKey>,
    uris: Arc<[String]>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // An ECDSA and an RSA certificate may be for the same name: the client gets one that it can verify.
        let candidates = self.candidates(hello.server_name());
        let fits = |held: &&Arc<Held>| held.key.key.choose_scheme(hello.signature_schemes()).is_some();
        candidates.iter().find(fits).or_else(|| candidates.first()).map(|held| Arc::clone(&held.key))
    }
}
