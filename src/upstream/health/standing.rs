//! How upstreams stand, for operators and for metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Conditions, Standing, UpstreamHealth};
use crate::telemetry::{CredentialCounts, EndpointCounts, LookupCounts, UpstreamCounts};
use crate::upstream::circuit::RetryCause;

/// How an upstream's endpoints stand.
#[derive(Debug, Clone)]
pub struct UpstreamStanding {
    /// Its name.
    pub upstream: Arc<str>,
    /// Whether so few of them are well that all get requests.
    pub panic: bool,
    /// Requests under way, of all workers.
    pub requests: i64,
    /// Requests that wait for a connection.
    pub pending: usize,
    /// Connections that are open.
    pub connections: i64,
    /// Its endpoints, as configured.
    pub endpoints: Vec<EndpointStanding>,
}

/// How an endpoint stands.
#[derive(Debug, Clone)]
pub struct EndpointStanding {
    /// `http://127.0.0.1:3000`
    pub endpoint: String,
    /// How it stands.
    pub standing: Standing,
    /// Why it is not well, where it is not.
    pub why: Option<String>,
}

impl Conditions {
    /// How the endpoints of every upstream stand, in order of name.
    pub fn standings(&self) -> Vec<UpstreamStanding> {
        self.by_name.iter().map(|(name, health)| standing(name, health)).collect()
    }

    /// What metrics tell of every upstream, in order of name.
    pub fn counts(&self) -> Vec<UpstreamCounts> {
        self.by_name.iter().map(|(name, health)| counts(name, health, self.credentials.counts(name))).collect()
    }
}

fn standing(name: &Arc<str>, health: &UpstreamHealth) -> UpstreamStanding {
    let (requests, connections) = health.load().under_way();
    let endpoints: Vec<_> = health
        .standings()
        .map(|(watched, standing, why)| EndpointStanding { endpoint: watched.name.clone(), standing, why })
        .collect();
    let unwell = endpoints.iter().filter(|endpoint| !endpoint.standing.is_well()).count();
    UpstreamStanding {
        upstream: name.clone(),
        panic: unwell > 0 && health.panics(),
        requests,
        pending: health.load().pending(),
        connections,
        endpoints,
    }
}

fn counts(name: &Arc<str>, health: &UpstreamHealth, credential: Option<CredentialCounts>) -> UpstreamCounts {
    let (requests, connections) = health.load().under_way();
    let retries = RetryCause::ALL.iter().map(|cause| cause.name()).zip(health.load().retries()).collect();
    let endpoints = health.standings().map(|(watched, standing, _)| EndpointCounts {
        name: watched.name.clone(),
        healthy: standing.is_well(),
        checks_passed: watched.checks_passed.load(Relaxed),
        checks_failed: watched.checks_failed.load(Relaxed),
        ejections: watched.ejections.load(Relaxed),
        lookups: health.settings().dns_refresh.filter(|_| watched.endpoint.has_name()).map(|_| {
            let (addresses, succeeded, failed) = watched.known.counts();
            LookupCounts { addresses, succeeded, failed }
        }),
    });
    UpstreamCounts {
        name: name.clone(),
        requests,
        connections,
        pending: health.load().pending(),
        retries,
        endpoints: endpoints.collect(),
        credential,
    }
}
