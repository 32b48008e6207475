//! Counters and gauges, in the OpenMetrics text format.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;

use super::certificates::CertificateTimes;
use super::histogram::Histogram;
use super::issuers::IssuerCounts;
use super::objections::Objections;
use super::proof::ProofOutcome;
use super::reload::ReloadCounts;
use super::upstreams::{self, UpstreamCounts};
use crate::model::denial::Reason;
use crate::model::expiry::Expiries;
use crate::model::{CredentialKind, Observer, Revocation, Timestamp};

/// All metrics of the process. Handles are resolved once; counting takes no lock, and workers count apart from each
/// other so that no cache line travels between cores.
pub struct Metrics {
    counts: Arc<Counts>,
    registry: Registry,
}

impl Metrics {
    /// With a series for each of these routes.
    pub fn new(routes: &[Arc<str>]) -> Self {
        Self::with_issuers(routes, &[])
    }

    /// With a series for each of these routes, and of these issuers by their configured names.
    pub fn with_issuers(routes: &[Arc<str>], issuers: &[Arc<str>]) -> Self {
        let counts = Arc::new(Counts::new(routes, issuers));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&counts)));
        Self { counts, registry }
    }

    /// With a series for each of these too, which a new configuration has. Series are never taken away: a counter that
    /// vanishes is lost to whoever sums it.
    pub fn extend(&self, routes: &[Arc<str>], issuers: &[Arc<str>]) {
        let known = self.counts.routes.load_full();
        if routes.iter().any(|name| !known.index.contains_key(name)) {
            self.counts.routes.store(Arc::new(known.with(routes, self.counts.shards.len())));
        }
        let mut all = Vec::clone(&self.counts.issuers.load());
        let before = all.len();
        for name in issuers {
            if !all.iter().any(|known| known.name == *name) {
                all.push(Arc::new(IssuerCounts::new(name)));
            }
        }
        if all.len() > before {
            self.counts.issuers.store(Arc::new(all));
        }
    }

    /// An upgrade has come to nothing.
    pub fn upgrade_failed(&self) {
        self.counts.reloads.upgrade_failed();
    }

    /// A reload has ended.
    pub fn reload(&self, applied: bool) {
        self.counts.reloads.ended(applied);
    }

    /// A rule of this name, which only reports, would have refused a request.
    pub fn would_deny(&self, rule: &Arc<str>) {
        self.counts.objections.count(rule);
    }

    /// The configuration of this digest is in force.
    pub fn configuration(&self, digest: &str, since: Timestamp) {
        self.counts.reloads.in_force(digest, since);
    }

    /// These certificates and lists are in use.
    pub fn certificates(&self, expiries: Expiries) {
        self.counts.certificates.expiries.store(Arc::new(expiries));
    }

    /// The certificates and lists in use, as rendered from now on: of a bundle, the next to end is told.
    pub fn certificates_at(&self, now: Timestamp) -> Arc<Expiries> {
        self.counts.certificates.at(now)
    }

    /// A request was answered. `route`: `None` where none was chosen.
    pub fn request(&self, route: Option<&str>, status: u16, took: Duration) {
        let routes = self.counts.routes.load();
        let index = route.and_then(|name| routes.index.get(name)).copied().unwrap_or_default();
        if let Some(route) = routes.counts.get(index).and_then(|shards| shards.get(self.counts.shard_number())) {
            if let Some(class) = route.classes.get(class_of(status)) {
                class.fetch_add(1, Ordering::Relaxed);
            }
            route.duration.observe(took);
        }
    }

    /// A request was refused.
    pub fn denial(&self, reason: Reason) {
        if let Some(count) = self.counts.shard().denials.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A credential was looked up in the cache of verified credentials.
    pub fn credential(&self, kind: CredentialKind, cached: bool) {
        if let Some(count) = self.counts.shard().credentials.get(credential_index(kind, cached)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A DPoP proof was looked at.
    pub fn proof(&self, outcome: ProofOutcome) {
        if let Some(count) = self.counts.shard().proofs.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A client connection was opened (+1) or closed (−1).
    pub fn connection(&self, change: i64) {
        self.counts.shard().connections.fetch_add(change, Ordering::Relaxed);
    }

    /// So many more (or fewer) exchanges go on that a credential holds open.
    pub fn live_streams(&self, change: i64) {
        self.counts.shard().live.fetch_add(change, Ordering::Relaxed);
    }

    /// An exchange was ended because its credential counts no more.
    pub fn live_stream_ended(&self, reason: Reason) {
        if let Some(count) = self.counts.shard().ended.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The revocation log was read: how old what we know is, and how many entries of each of
    /// [`Revocation::KINDS`] live.
    pub fn revocation(&self, staleness: Duration, entries: [usize; KINDS]) {
        let millis = u64::try_from(staleness.as_millis()).unwrap_or(u64::MAX);
        self.counts.staleness_millis.store(millis, Ordering::Relaxed);
        for (count, entries) in self.counts.revocations.iter().zip(entries) {
            count.store(entries as u64, Ordering::Relaxed);
        }
    }

    /// Whether new requests are welcome: the answer of `/readyz`.
    pub fn ready(&self, ready: bool) {
        self.counts.ready.store(u64::from(ready), Ordering::Relaxed);
    }

    /// Upstreams are asked by this what they have counted, whenever metrics are rendered.
    pub fn ask_upstreams(&self, ask: impl Fn() -> Vec<UpstreamCounts> + Send + Sync + 'static) {
        self.counts.upstreams.set(ask);
    }

    /// All of it, as `application/openmetrics-text`.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing to a String does not fail; half a document would be worse than an empty one.
            Err(_) => "# EOF\n".to_owned(),
        }
    }
}

impl Observer for Metrics {
    fn connection(&self, change: i64) {
        Metrics::connection(self, change);
    }

    fn store_call(&self, operation: &'static str, took: Duration, ok: bool) {
        if let Some(call) = named(&self.counts.store_calls, operation) {
            let count = if ok { &call.succeeded } else { &call.failed };
            count.fetch_add(1, Ordering::Relaxed);
            call.duration.observe(took);
        }
    }

    fn connection_refused(&self, reason: &'static str) {
        if let Some(count) = named(&self.counts.refused, reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn jwks_refresh(&self, issuer: &str, ok: bool) {
        self.counts.of_issuer(issuer, |counts| counts.refreshed(ok));
    }

    fn jwks_demand(&self, issuer: &str) {
        self.counts.of_issuer(issuer, IssuerCounts::demanded);
    }

    fn jwks_keys(&self, issuer: &str, fetched_at: Timestamp) {
        self.counts.of_issuer(issuer, |counts| counts.keys(fetched_at));
    }
}

/// What the registry asks when it renders.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) routes: ArcSwap<Routes>,
    pub(super) shards: Box<[Shard]>,
    pub(super) store_calls: [Named<StoreCalls>; MAX_OPERATIONS],
    pub(super) refused: [Named<AtomicU64>; MAX_REFUSALS],
    pub(super) issuers: ArcSwap<Vec<Arc<IssuerCounts>>>,
    /// [`NEVER`] before the first reading.
    pub(super) staleness_millis: AtomicU64,
    pub(super) revocations: [AtomicU64; KINDS],
    pub(super) ready: AtomicU64,
    pub(super) reloads: ReloadCounts,
    pub(super) objections: Objections,
    pub(super) upstreams: upstreams::Source,
    pub(super) certificates: CertificateTimes,
}

/// How many kinds of revocation there are.
const KINDS: usize = Revocation::KINDS.len();

/// Staleness before the revocation log was read for the first time.
pub(super) const NEVER: u64 = u64::MAX;

/// How many operations of the store are told apart; they are names in our own code.
const MAX_OPERATIONS: usize = 32;

/// How many reasons to refuse a connection are told apart; likewise.
const MAX_REFUSALS: usize = 64;

/// Counts under a name that is known once it is first counted.
#[derive(Debug, Default)]
pub(super) struct Named<T> {
    name: OnceLock<&'static str>,
    counts: T,
}

impl<T> Named<T> {
    /// Name and counts, if anything was counted.
    pub(super) fn taken(&self) -> Option<(&'static str, &T)> {
        Some((*self.name.get()?, &self.counts))
    }
}

/// The counts of this name, whose place is taken at its first call; `None` once all are taken.
fn named<'a, T>(slots: &'a [Named<T>], name: &'static str) -> Option<&'a T> {
    slots.iter().find(|slot| *slot.name.get_or_init(|| name) == name).map(|slot| &slot.counts)
}

/// What is counted by route.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// The name at each index of `counts`; the first stands for requests without a route.
    pub(super) names: Vec<Arc<str>>,
    index: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    /// By route, then by shard.
    pub(super) counts: Vec<Arc<[RouteCounts]>>,
}

impl Routes {
    /// With counts for these too.
    fn with(&self, routes: &[Arc<str>], shards: usize) -> Self {
        let Self { mut names, mut index, mut counts } =
            Self { names: self.names.clone(), index: self.index.clone(), counts: self.counts.clone() };
        for name in routes {
            if !index.contains_key(name) {
                index.insert(Arc::clone(name), names.len());
                names.push(Arc::clone(name));
                counts.push((0..shards).map(|_| RouteCounts::default()).collect());
            }
        }
        Self { names, index, counts }
    }
}

/// What one worker counts.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) denials: Box<[AtomicU64]>,
    pub(super) credentials: [AtomicU64; CREDENTIALS.len() * 2],
    pub(super) proofs: [AtomicU64; ProofOutcome::ALL.len()],
    pub(super) connections: AtomicI64,
    pub(super) live: AtomicI64,
    pub(super) ended: Box<[AtomicU64]>,
}

/// Of one route.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct RouteCounts {
    pub(super) classes: [AtomicU64; CLASSES.len()],
    pub(super) duration: Histogram,
}

/// Of one operation of the store.
#[derive(Debug, Default)]
pub(super) struct StoreCalls {
    pub(super) succeeded: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) duration: Histogram,
}

/// Classes of status codes.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Kinds of credential, in the order in which they are counted.
pub(super) const CREDENTIALS: [CredentialKind; 6] = [
    CredentialKind::Session,
    CredentialKind::Jwt,
    CredentialKind::Opaque,
    CredentialKind::ApiKey,
    CredentialKind::Mtls,
    CredentialKind::Basic,
];

impl Counts {
    fn new(routes: &[Arc<str>], issuers: &[Arc<str>]) -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 16);
        Self {
            routes: ArcSwap::from_pointee(Routes::default().with(&[Arc::from("")], shards).with(routes, shards)),
            shards: (0..shards).map(|_| Shard::new()).collect(),
            store_calls: Default::default(),
            refused: std::array::from_fn(|_| Named::default()),
            issuers: ArcSwap::from_pointee(issuers.iter().map(|name| Arc::new(IssuerCounts::new(name))).collect()),
            staleness_millis: AtomicU64::new(NEVER),
            revocations: Default::default(),
            ready: AtomicU64::new(0),
            reloads: ReloadCounts::default(),
            objections: Objections::default(),
            upstreams: upstreams::Source::default(),
            certificates: CertificateTimes::default(),
        }
    }

    fn of_issuer(&self, name: &str, count: impl FnOnce(&IssuerCounts)) {
        if let Some(counts) = self.issuers.load().iter().find(|known| &*known.name == name) {
            count(counts);
        }
    }

    /// The current thread's.
    #[expect(clippy::indexing_slicing, reason = "there is at least one shard, and the index is a remainder")]
    fn shard(&self) -> &Shard {
        &self.shards[self.shard_number()]
    }

    fn shard_number(&self) -> usize {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
        }
        let thread = THREAD.with(|thread| {
            thread.get().unwrap_or_else(|| {
                let number = THREADS.fetch_add(1, Ordering::Relaxed);
                thread.set(Some(number));
                number
            })
        });
        thread % self.shards.len()
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            denials: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            credentials: Default::default(),
            proofs: Default::default(),
            connections: AtomicI64::new(0),
            live: AtomicI64::new(0),
            ended: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

fn class_of(status: u16) -> usize {
    usize::from(status / 100).clamp(1, CLASSES.len()) - 1
}

/// Where a kind is counted: first the misses of all kinds, then the hits.
pub(super) const fn credential_index(kind: CredentialKind, cached: bool) -> usize {
    let kind = match kind {
        CredentialKind::Session => 0,
        CredentialKind::Jwt => 1,
        CredentialKind::Opaque => 2,
        CredentialKind::ApiKey => 3,
        CredentialKind::Mtls => 4,
        CredentialKind::Basic => 5,
    };
    if cached { kind + CREDENTIALS.len() } else { kind }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
