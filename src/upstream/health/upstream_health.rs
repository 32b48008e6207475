//! Which endpoints of one upstream may get requests.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::condition::{Condition, Standing};
use crate::model::settings::{Endpoint, UpstreamSettings};
use crate::upstream::choice::Set;
use crate::upstream::circuit::Load;
use crate::upstream::lookup::{Known, Resolver};

/// The conditions of an upstream's endpoints, shared by all workers and the checker.
#[derive(Debug)]
pub(in crate::upstream) struct UpstreamHealth {
    settings: Arc<UpstreamSettings>,
    endpoints: Vec<Arc<Watched>>,
    all: Set,
    load: Arc<Load>,
    /// Held while one is ejected, so that not too many are.
    ejecting: Mutex<()>,
}

/// An endpoint, how it is, and what has happened to it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) endpoint: Endpoint,
    /// `http://127.0.0.1:3000`
    pub(super) name: String,
    pub(super) condition: Condition,
    pub(super) checks_passed: AtomicU64,
    pub(super) checks_failed: AtomicU64,
    pub(super) ejections: AtomicU64,
    /// The addresses of its name.
    pub(super) known: Known,
}

/// Who may get a request now.
pub(in crate::upstream) struct Usable {
    pub(in crate::upstream) set: Set,
    /// When that was, if some of them get less than their share; they are asked for it by [`UpstreamHealth::part`].
    pub(in crate::upstream) returning: Option<Instant>,
}

impl Watched {
    fn new(endpoint: &Endpoint) -> Self {
        Self {
            name: endpoint.to_string(),
            endpoint: endpoint.clone(),
            condition: Condition::new(),
            checks_passed: AtomicU64::new(0),
            checks_failed: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            known: Known::default(),
        }
    }
}

impl UpstreamHealth {
    /// What is known of the same endpoints of `before` goes on to count.
    pub(super) fn new(settings: &Arc<UpstreamSettings>, before: Option<&Self>) -> Self {
        let known = |endpoint: &Endpoint| {
            let same =
                |watched: &&Arc<Watched>| Endpoint { weight: endpoint.weight, ..watched.endpoint.clone() } == *endpoint;
            // What checks once said counts only where there are checks that can take it back.
            let checked = |watched: &&Arc<Watched>| settings.health.check.is_some() || watched.condition.checks_pass();
            before.and_then(|before| before.endpoints.iter().filter(same).find(checked).cloned())
        };
        let endpoints: Vec<_> = settings
            .endpoints
            .iter()
            .map(|endpoint| known(endpoint).unwrap_or_else(|| Arc::new(Watched::new(endpoint))))
            .collect();
        Self {
            settings: settings.clone(),
            all: Set::of((0..).zip(&endpoints).map(|(at, _)| at)),
            endpoints,
            load: before.map_or_else(Arc::default, |before| before.load.clone()),
            ejecting: Mutex::new(()),
        }
    }

    /// The endpoints that may get a request: those that are well, or all where too few are.
    pub(in crate::upstream) fn usable(&self) -> Usable {
        if self.endpoints.iter().all(|watched| watched.condition.is_settled()) {
            return Usable { set: self.all, returning: None };
        }
        self.usable_at(Instant::now())
    }

    pub(super) fn usable_at(&self, now: Instant) -> Usable {
        let slow_start = self.settings.health.slow_start;
        let well = self.positions().filter(|(_, watched)| watched.condition.is_well(now, slow_start));
        let well = Set::of(well.map(|(at, _)| at));
        Usable { set: if self.is_too_few(well) { self.all } else { well }, returning: Some(now) }
    }

    /// Whether so few endpoints are well that all get requests: the few would be given the load of the others, and break
    /// under it; or the checks are what is broken.
    fn is_too_few(&self, well: Set) -> bool {
        u64::from(well.len()) * 100 < u64::from(self.settings.health.panic_below) * u64::from(self.all.len())
    }

    /// Whether that is so now.
    pub(super) fn panics(&self) -> bool {
        let (now, slow_start) = (Instant::now(), self.settings.health.slow_start);
        let well = self.positions().filter(|(_, watched)| watched.condition.is_well(now, slow_start));
        self.is_too_few(Set::of(well.map(|(at, _)| at)))
    }

    /// The part of its share that an endpoint gets, in percent.
    pub(in crate::upstream) fn part(&self, at: u32, now: Instant) -> u32 {
        self.at(at).map_or(100, |watched| watched.condition.part(now, self.settings.health.slow_start))
    }

    /// An endpoint answered with this status; whether its body comes is another matter.
    pub(in crate::upstream) fn answered(&self, at: u32, status: u16) {
        let Some(ejection) = &self.settings.health.ejection else { return };
        if ejection.statuses.contain(status) {
            self.failed(at, &format_args!("status {status}"));
        } else if let Some(watched) = self.at(at) {
            watched.condition.answered();
        }
    }

    /// An endpoint failed a request, by no fault of the client's.
    pub(in crate::upstream) fn failed(&self, at: u32, why: &dyn std::fmt::Display) {
        self.failed_at(at, why, Instant::now());
    }

    pub(super) fn failed_at(&self, at: u32, why: &dyn std::fmt::Display, now: Instant) {
        let (Some(ejection), Some(watched)) = (&self.settings.health.ejection, self.at(at)) else { return };
        let failures = watched.condition.failed();
        if failures < ejection.failures {
            return;
        }
        let Ok(alone) = self.ejecting.lock() else { return };
        let ejected = self.endpoints.iter().filter(|watched| watched.condition.is_ejected(now)).count();
        let most = self.endpoints.len().saturating_mul(ejection.max_percent as usize) / 100;
        // Requests that were under way when it was ejected tell nothing new.
        if ejected >= most || watched.condition.is_ejected(now) {
            return;
        }
        let time = watched.condition.eject(now, ejection.base_time, ejection.max_time);
        drop(alone);
        watched.ejections.fetch_add(1, Relaxed);
        let why = format!("{failures} failures in a row, the last: {why}");
        watched.condition.because(&why);
        tracing::warn!(upstream = &*self.settings.name, endpoint = watched.name, ?time, why, "an endpoint is ejected");
    }

    /// What checks have found of an endpoint, and the last of them.
    pub(super) fn checked(&self, watched: &Watched, outcome: &Result<(), String>) {
        let (upstream, endpoint) = (&*self.settings.name, &*watched.name);
        if let Err(why) = outcome {
            watched.condition.because(why);
        }
        if !watched.condition.checked(outcome.is_ok(), Instant::now(), self.settings.health.slow_start) {
            return;
        }
        match outcome {
            Ok(()) => tracing::info!(upstream, endpoint, "an endpoint is healthy again"),
            Err(why) => tracing::warn!(upstream, endpoint, why, "an endpoint is unhealthy"),
        }
    }

    /// The addresses of an endpoint's name as they are found, where they are looked up now and then.
    pub(in crate::upstream) fn addresses(&self, at: u32) -> Option<Receiver<Arc<[SocketAddr]>>> {
        self.settings.dns_refresh?;
        self.at(at).filter(|watched| watched.endpoint.has_name()).map(|watched| watched.known.subscribe())
    }

    /// Looks an endpoint's name up once.
    pub(super) async fn look_up(&self, watched: &Watched, resolver: &dyn Resolver) {
        watched.known.refresh(resolver, &self.settings.name, &watched.endpoint).await;
    }

    /// Looks up the name of the first endpoint.
    #[cfg(test)]
    pub(in crate::upstream) async fn look_up_first(&self, resolver: &dyn Resolver) {
        self.look_up(&self.endpoints[0], resolver).await;
    }

    /// What all workers have under way with it.
    pub(in crate::upstream) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    pub(super) fn settings(&self) -> &Arc<UpstreamSettings> {
        &self.settings
    }

    pub(super) fn endpoints(&self) -> &[Arc<Watched>] {
        &self.endpoints
    }

    /// How each endpoint stands, and why where it is not well.
    pub(super) fn standings(&self) -> impl Iterator<Item = (&Watched, Standing, Option<String>)> {
        let now = Instant::now();
        self.endpoints.iter().map(move |watched| {
            let (standing, why) = watched.condition.standing(now, self.settings.health.slow_start);
            (&**watched, standing, why)
        })
    }

    fn at(&self, at: u32) -> Option<&Watched> {
        self.endpoints.get(at as usize).map(|watched| &**watched)
    }

    fn positions(&self) -> impl Iterator<Item = (u32, &Watched)> {
        (0..).zip(self.endpoints.iter().map(|watched| &**watched))
    }
}

#[cfg(test)]
#[path = "upstream_health_tests.rs"]
mod tests;
