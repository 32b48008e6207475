//! How endpoints are: what checks find, what requests find, and who may get a request because of it.
//!
//! One [`Conditions`] for the whole process. Workers read it without a lock and note what requests find; one [`Checker`],
//! on the thread beside the workers, notes what checks find.

mod check;
mod checker;
mod condition;
mod upstream_health;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub use self::checker::Checker;
pub use self::condition::Standing;
pub(super) use self::upstream_health::UpstreamHealth;
use self::upstream_health::Watched;
use crate::model::settings::UpstreamSettings;

/// How an upstream's endpoints stand.
#[derive(Debug, Clone)]
pub struct UpstreamStanding {
    /// Its name.
    pub upstream: Arc<str>,
    /// Its endpoints, as configured.
    pub endpoints: Vec<EndpointStanding>,
}

/// How an endpoint stands, and what has come of it since the process started.
#[derive(Debug, Clone)]
pub struct EndpointStanding {
    /// `http://127.0.0.1:3000`
    pub endpoint: String,
    /// How it stands.
    pub standing: Standing,
    /// Why it is not well, where it is not.
    pub why: Option<String>,
    /// Checks that passed.
    pub checks_passed: u64,
    /// Checks that failed.
    pub checks_failed: u64,
    /// How often it was ejected.
    pub ejections: u64,
}

/// What is known of the endpoints of all upstreams. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    by_name: Arc<BTreeMap<Arc<str>, Arc<UpstreamHealth>>>,
}

impl Conditions {
    /// Nothing is known yet: every endpoint counts as healthy.
    pub fn new(settings: &[Arc<UpstreamSettings>]) -> Self {
        Self::default().renewed(settings)
    }

    /// For other settings: what is known of endpoints that stay in their upstream goes on to count, for old and new alike.
    #[must_use]
    pub fn renewed(&self, settings: &[Arc<UpstreamSettings>]) -> Self {
        let health = |settings: &Arc<UpstreamSettings>| {
            let health = match self.by_name.get(&settings.name) {
                // The same one, which workers that keep the upstream as it is go by.
                Some(before) if before.settings() == settings => before.clone(),
                before => Arc::new(UpstreamHealth::new(settings, before.map(|before| &**before))),
            };
            (settings.name.clone(), health)
        };
        Self { by_name: Arc::new(settings.iter().map(health).collect()) }
    }

    /// Of one upstream; of one that was not among the settings, apart from all others.
    pub(super) fn of(&self, settings: &Arc<UpstreamSettings>) -> Arc<UpstreamHealth> {
        let known = self.by_name.get(&settings.name).cloned();
        known.unwrap_or_else(|| Arc::new(UpstreamHealth::new(settings, None)))
    }

    /// How the endpoints of every upstream stand, in order of name.
    pub fn list(&self) -> Vec<UpstreamStanding> {
        let endpoint = |(watched, standing, why): (&Watched, Standing, Option<String>)| EndpointStanding {
            endpoint: watched.name.clone(),
            standing,
            why,
            checks_passed: watched.checks_passed.load(Relaxed),
            checks_failed: watched.checks_failed.load(Relaxed),
            ejections: watched.ejections.load(Relaxed),
        };
        let upstream = |(name, health): (&Arc<str>, &Arc<UpstreamHealth>)| UpstreamStanding {
            upstream: name.clone(),
            endpoints: health.standings().map(endpoint).collect(),
        };
        self.by_name.iter().map(upstream).collect()
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<UpstreamHealth>> {
        self.by_name.values()
    }
}
