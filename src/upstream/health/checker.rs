//! Checks endpoints again and again: once for the whole process, however many workers send requests to them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Conditions;
use super::check::check;
use super::upstream_health::{UpstreamHealth, Watched};
use crate::model::Entropy;
use crate::model::settings::{Endpoint, HealthCheck, ProxyProtocol};
use crate::upstream::UpstreamError;
use crate::upstream::lookup::{Resolver, SystemResolver};
use crate::upstream::tls::{EndpointTls, client_config};

/// Who asks endpoints how they are, and where.
pub struct Checker {
    asked: Vec<Arc<Asked>>,
    sought: Vec<Sought>,
    resolver: Arc<dyn Resolver>,
    entropy: Arc<dyn Entropy>,
}

/// One endpoint whose name is looked up.
#[derive(Clone)]
struct Sought {
    health: Arc<UpstreamHealth>,
    watched: Arc<Watched>,
    every: Duration,
}

/// One endpoint that is asked.
struct Asked {
    health: Arc<UpstreamHealth>,
    watched: Arc<Watched>,
    tls: Option<EndpointTls>,
    how: HealthCheck,
    proxy_protocol: Option<ProxyProtocol>,
}

impl Checker {
    /// Of all endpoints whose upstream has a `health`, or names with a `dns_refresh`. Reads certificates; asks nobody yet.
    pub fn new(conditions: &Conditions, entropy: Arc<dyn Entropy>) -> Result<Self, UpstreamError> {
        let (mut asked, mut sought) = (Vec::new(), Vec::new());
        for health in conditions.iter() {
            let settings = health.settings();
            if let Some(every) = settings.dns_refresh {
                let names = health.endpoints().iter().filter(|watched| watched.endpoint.has_name());
                sought.extend(names.map(|watched| Sought { health: health.clone(), watched: watched.clone(), every }));
            }
            let Some(how) = &settings.health.check else { continue };
            let broken = |problem| UpstreamError { upstream: settings.name.clone(), problem };
            let https = settings.endpoints.iter().any(Endpoint::is_tls);
            let config = if https { Some(client_config(&settings.tls).map_err(broken)?) } else { None };
            for watched in health.endpoints() {
                let tls = match &config {
                    Some(config) if watched.endpoint.is_tls() => Some(
                        EndpointTls::new(config, &watched.endpoint, &settings.tls, settings.http).map_err(broken)?,
                    ),
                    _ => None,
                };
                let (health, watched) = (health.clone(), watched.clone());
                asked.push(Arc::new(Asked {
                    health,
                    watched,
                    tls,
                    how: how.clone(),
                    proxy_protocol: settings.proxy_protocol,
                }));
            }
        }
        Ok(Self { asked, sought, resolver: Arc::new(SystemResolver), entropy })
    }

    /// Looks names up with this resolver instead of the system's.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, ..self }
    }

    /// Asks until dropped. Endpoints are asked independently of each other: one that never answers delays nobody.
    ///
    /// To be called within a `LocalSet`.
    pub async fn run(&self) {
        let mut all = JoinSet::new();
        for asked in &self.asked {
            let (asked, entropy) = (asked.clone(), self.entropy.clone());
            all.spawn_local(async move {
                let mut streak = Streak::default();
                loop {
                    asked.once(&mut streak).await;
                    tokio::time::sleep(asked.pause(&*entropy)).await;
                }
            });
        }
        for sought in &self.sought {
            let (sought, resolver) = (sought.clone(), self.resolver.clone());
            all.spawn_local(async move {
                loop {
                    sought.health.look_up(&sought.watched, &*resolver).await;
                    tokio::time::sleep(sought.every).await;
                }
            });
        }
        while all.join_next().await.is_some() {}
        std::future::pending().await
    }
}

/// Checks in a row that ended the same way.
#[derive(Debug, Default)]
struct Streak {
    passed: u32,
    failed: u32,
}

impl Streak {
    /// Whether so many in a row mean something, with this one.
    fn is_enough(&mut self, passed: bool, how: &HealthCheck, first: bool) -> bool {
        if passed {
            *self = Self { passed: self.passed.saturating_add(1), failed: 0 };
            first || self.passed >= how.healthy
        } else {
            *self = Self { passed: 0, failed: self.failed.saturating_add(1) };
            first || self.failed >= how.unhealthy
        }
    }
}

impl Asked {
    async fn once(&self, streak: &mut Streak) {
        let outcome = check(&self.watched.endpoint, self.tls.as_ref(), self.proxy_protocol, &self.how).await;
        self.found(&outcome, streak);
    }

    fn found(&self, outcome: &Result<(), String>, streak: &mut Streak) {
        let count = if outcome.is_ok() { &self.watched.checks_passed } else { &self.watched.checks_failed };
        count.fetch_add(1, Relaxed);
        if streak.is_enough(outcome.is_ok(), &self.how, self.watched.condition.is_unchecked()) {
            self.health.checked(&self.watched, outcome);
        }
    }

    /// Until the next check.
    fn pause(&self, entropy: &dyn Entropy) -> Duration {
        let mut random = [0; 4];
        entropy.fill(&mut random);
        let most = self.how.interval.saturating_mul(self.how.jitter) / 100;
        self.how.interval + most.mul_f64(f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
