//! Tries to reach what a configuration names.

use std::sync::Arc;

use serde::Serialize;

use super::failure::Failure;
use crate::crypto::Issuers;
use crate::model::SystemClock;
use crate::model::observer::Unobserved;
use crate::model::settings::{IssuerSettings, KeySource, Settings, StoreKind};
use crate::store::Store;
use crate::upstream;

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub(super) struct Attempt {
    /// `issuer.main: https://id.example.com`
    pub(super) what: String,
    /// Why it failed, if it did.
    pub(super) problem: Option<String>,
}

/// Issuers' keys, the store, every endpoint of every upstream.
pub(super) async fn attempts(settings: &Settings) -> Result<Vec<Attempt>, Failure> {
    let clock = Arc::new(SystemClock);
    let mut attempts = Vec::new();

    let issuers = Issuers::new(&settings.issuers, clock.clone(), Arc::new(Unobserved))
        .map_err(|problem| Failure::usage(problem.to_string()))?;
    let problems = issuers.refresh().await;
    for issuer in &settings.issuers {
        let Some(from) = remote(issuer) else { continue };
        let problem = problems.iter().find(|problem| problem.issuer == issuer.name);
        attempts.push(Attempt {
            what: format!("issuer.{}: {from}", issuer.name),
            problem: problem.map(|problem| problem.problem.clone()),
        });
    }

    if let StoreKind::Redis(_) = settings.store.kind {
        let problem = match Store::open(&settings.store, clock, Arc::new(Unobserved)) {
            Ok(store) => store.ping().await.err(),
            Err(problem) => Some(problem),
        };
        attempts.push(Attempt { what: "store".to_owned(), problem: problem.map(|problem| problem.to_string()) });
    }

    for upstream in &settings.upstreams {
        for (endpoint, problem) in
            upstream::probe(upstream).await.map_err(|problem| Failure::usage(problem.to_string()))?
        {
            attempts.push(Attempt { what: format!("upstream.{}: {endpoint}", upstream.name), problem });
        }
    }
    Ok(attempts)
}

/// Where an issuer's keys are fetched from, if they are.
fn remote(issuer: &IssuerSettings) -> Option<&str> {
    match &issuer.keys {
        KeySource::Discovery(_) => Some(&issuer.issuer),
        KeySource::JwksUrl { url, .. } => Some(url),
        KeySource::JwksFile(_) | KeySource::PemFile(_) | KeySource::Secret(_) => None,
    }
}
