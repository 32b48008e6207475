//! Decides. [`Gate::check`] shows every stage; one file or folder holds each.

pub mod assertion;
pub mod credential;
pub mod csrf;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod headers;
pub mod identity;
pub mod limit;
pub mod permit;
pub mod policy;
pub mod revocation;
pub mod route;

use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::crypto::{Issuers, Signer};
use crate::model::settings::Settings;
use crate::model::{Client, Clock, Denial, Entropy, Timestamp};
use crate::store::Store;
use crate::telemetry::Metrics;

pub use permit::Permit;

/// A request head, as far as deciding needs it.
#[derive(Debug, Clone, Copy)]
pub struct CheckRequest<'a> {
    /// The name of the listener it came through.
    pub listener: &'a str,
    /// Its method.
    pub method: &'a Method,
    /// Path and query exactly as sent (origin-form).
    pub target: &'a str,
    /// `Host` or `:authority` as sent.
    pub host: &'a str,
    /// All headers as sent.
    pub headers: &'a HeaderMap,
    /// Who is connected.
    pub client: &'a Client,
    /// The listener's public origin, where one is configured.
    pub public_origin: Option<&'a crate::model::settings::Origin>,
    /// Now.
    pub now: Timestamp,
}

/// What all workers share.
pub struct Shared {
    /// Issuers and their keys.
    pub issuers: Arc<Issuers>,
    /// Verified credentials.
    pub cache: identity::Cache,
    /// What is revoked.
    pub revocations: revocation::RevocationSet,
    /// Counters of limits.
    pub limits: limit::Limits,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// The engine that turns a request head into a permit or a denial. It knows nothing of sockets. One per worker.
pub struct Gate {}

/// Why a gate cannot be built from settings that `config` found good.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GateError(pub String);

impl Gate {
    /// Builds the routes and stages. `signer` signs assertions.
    pub fn new(settings: &Settings, shared: Arc<Shared>, store: Store, signer: Arc<Signer>) -> Result<Self, GateError> {
        let _ = (settings, shared, store, signer);
        todo!()
    }

    /// All stages, in order.
    pub async fn check(&self, request: &CheckRequest<'_>) -> Result<Permit, Denial> {
        let _ = request;
        todo!()
    }
}
