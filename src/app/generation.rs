//! All that follows from one configuration and that all workers share.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::{Options, StartError};
use crate::crypto::Signer;
use crate::gate::Shared;
use crate::model::settings::Settings;
use crate::telemetry::Metrics;
use crate::upstream::{Conditions, Credentials};

/// One configuration, and what was made of it.
pub(super) struct Generation {
    pub(super) settings: Arc<Settings>,
    pub(super) shared: Arc<Shared>,
    /// What is known of upstreams' endpoints, and what these are shown.
    pub(super) conditions: Conditions,
    pub(super) signer: Arc<Signer>,
    /// The keys of the assertion, as served.
    pub(super) jwks: Bytes,
}

impl Generation {
    /// The first one of the process.
    pub(super) fn first(settings: Settings, metrics: &Arc<Metrics>, options: &Options) -> Result<Self, StartError> {
        let Options { clock, entropy, .. } = options;
        let signer = Arc::new(signer(&settings)?);
        let shared = Shared::new(&settings, metrics.clone(), clock.clone(), entropy.clone())?;
        let jwks = Bytes::from(signer.jwks().to_string());
        let credentials = Credentials::new(&settings.upstreams, clock, entropy)?;
        let conditions = Conditions::new(&settings.upstreams).with_credentials(credentials);
        Ok(Self { settings: Arc::new(settings), shared: Arc::new(shared), conditions, signer, jwks })
    }

    /// The one that is to follow this one; nothing of this one changes.
    pub(super) fn next(&self, settings: Settings) -> Result<Self, StartError> {
        let shared = Arc::new(self.shared.renewed(&self.settings, &settings)?);
        let Shared { clock, entropy, .. } = &*shared;
        let credentials = self.conditions.credentials().renewed(&settings.upstreams, clock, entropy)?;
        let conditions = self.conditions.renewed(&settings.upstreams).with_credentials(credentials);
        let (signer, jwks) = if self.settings.assertion.key == settings.assertion.key {
            (self.signer.clone(), self.jwks.clone())
        } else {
            let signer = signer(&settings)?;
            let jwks = with_keys_of(signer.jwks(), self.signer.jwks()).to_string().into();
            (Arc::new(signer), jwks)
        };
        Ok(Self { settings: Arc::new(settings), shared, conditions, signer, jwks })
    }
}

/// What the key before has signed is still under way.
fn with_keys_of(mut new: Value, old: Value) -> Value {
    let Value::Object(mut old) = old else { return new };
    if let (Some(Value::Array(keys)), Some(Value::Array(before))) = (new.get_mut("keys"), old.remove("keys")) {
        let unknown: Vec<Value> = before.into_iter().filter(|key| !keys.contains(key)).collect();
        keys.extend(unknown);
    }
    new
}

/// The key that signs assertions.
fn signer(settings: &Settings) -> Result<Signer, StartError> {
    match &settings.assertion.key {
        Some(pem) => Signer::from_pem(pem.expose())
            .map_err(|problem| StartError::Configuration(format!("assertion.key: {problem}"))),
        None => Signer::generate().map_err(|problem| StartError::Failed(problem.to_string())),
    }
}
