//! Where a running instance gets its next configuration from, and what it is told apart by.

use std::path::PathBuf;
use std::sync::Arc;

use super::prints::Prints;
use crate::config::Loaded;
use crate::crypto::digest::sha256;
use crate::model::settings::{CredentialSource, KeySource, StoreKind};

/// Reads the configuration again; the text of the error is what start would print.
#[derive(Clone)]
pub struct Source {
    pub(super) load: Arc<dyn Fn() -> Result<Loaded, String> + Send + Sync>,
    pub(super) first: Arc<Traits>,
}

/// What a configuration is told apart by, and the files that it rests on.
#[derive(Debug, Default)]
pub(super) struct Traits {
    /// Of its effective values, in which no secret is.
    pub(super) digest: String,
    pub(super) prints: Arc<Prints>,
}

impl Source {
    /// `loaded`: what is in force at first.
    pub fn new(loaded: &Loaded, load: impl Fn() -> Result<Loaded, String> + Send + Sync + 'static) -> Self {
        Self { load: Arc::new(load), first: Arc::new(Traits::of(loaded, &Prints::default())) }
    }
}

impl Traits {
    /// `before`: of files as they were before it was read.
    pub(super) fn of(loaded: &Loaded, before: &Prints) -> Self {
        let Loaded { settings, files, named, directories, effective, .. } = loaded;
        // By value alone: it is the same configuration wherever in the file it stands.
        let values: Vec<_> = effective.iter().map(|value| (&value.path, &value.value)).collect();
        let digest = sha256(&serde_json::to_vec(&values).unwrap_or_default());
        let digest = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        // What is written here by ourselves is no news.
        let snapshots = settings.issuers.iter().filter_map(|issuer| match &issuer.keys {
            KeySource::Discovery(jwks) | KeySource::JwksUrl { jwks, .. } => jwks.snapshot.clone(),
            _ => None,
        });
        let store = match &settings.store.kind {
            StoreKind::Memory { file } => file.clone(),
            StoreKind::Redis(_) => None,
        };
        // What is renewed every hour is read by whoever shows it, without a reload.
        let tokens = settings.upstreams.iter().filter_map(|upstream| match &upstream.credential.as_ref()?.source {
            CredentialSource::File(path) => Some(path.clone()),
            _ => None,
        });
        let own: Vec<PathBuf> = snapshots.chain(store).chain(tokens).collect();
        let paths = files.iter().chain(named).chain(directories).filter(|path| !own.contains(path)).cloned();
        Self { digest, prints: Arc::new(Prints::of(paths, before)) }
    }
}
