//! Counters and gauges, in the OpenMetrics text format.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::registry::Registry;

use super::histogram::Histogram;
use crate::model::denial::Reason;
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

    /// A request was answered. `route`: `None` where none was chosen.
    pub fn request(&self, route: Option<&str>, status: u16, took: Duration) {
        let index = route.and_then(|name| self.counts.route_index.get(name)).copied().unwrap_or_default();
        if let Some(route) = self.counts.shard().routes.get(index) {
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

    /// A client connection was opened (+1) or closed (−1).
    pub fn connection(&self, change: i64) {
        self.counts.shard().connections.fetch_add(change, Ordering::Relaxed);
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
        if let Some(issuer) = self.counts.issuer(issuer) {
            let count = if ok { &issuer.succeeded } else { &issuer.failed };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn jwks_demand(&self, issuer: &str) {
        if let Some(issuer) = self.counts.issuer(issuer) {
            issuer.demanded.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn jwks_keys(&self, issuer: &str, fetched_at: Timestamp) {
        if let Some(issuer) = self.counts.issuer(issuer) {
            issuer.fetched_at.store(fetched_at.0, Ordering::Relaxed);
        }
    }
}

/// What the registry asks when it renders.
#[derive(Debug)]
pub(super) struct Counts {
    /// The name at each index of [`Shard::routes`]; the first stands for requests without a route.
    pub(super) route_names: Vec<Arc<str>>,
    route_index: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    pub(super) shards: Box<[Shard]>,
    pub(super) store_calls: [Named<StoreCalls>; MAX_OPERATIONS],
    pub(super) refused: [Named<AtomicU64>; MAX_REFUSALS],
    pub(super) issuers: Vec<IssuerCounts>,
    /// [`NEVER`] before the first reading.
    pub(super) staleness_millis: AtomicU64,
    pub(super) revocations: [AtomicU64; KINDS],
    pub(super) ready: AtomicU64,
}

/// How many kinds of revocation there are.
const KINDS: usize = Revocation::KINDS.len();

/// Staleness before the revocation log was read for the first time.
pub(super) const NEVER: u64 = u64::MAX;

/// How many operations of the store are told apart; they are names in our own code.
const MAX_OPERATIONS: usize = 32;

/// How many reasons to refuse a connection are told apart; likewise.
const MAX_REFUSALS: usize = 16;

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

/// What one worker counts.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) routes: Box<[RouteCounts]>,
    pub(super) denials: Box<[AtomicU64]>,
    pub(super) credentials: [AtomicU64; CREDENTIALS.len() * 2],
    pub(super) connections: AtomicI64,
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

/// Of one issuer.
#[derive(Debug, Default)]
pub(super) struct IssuerCounts {
    pub(super) name: Arc<str>,
    pub(super) succeeded: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) demanded: AtomicU64,
    /// When its keys were fetched, in milliseconds since the epoch; 0 without keys that were.
    pub(super) fetched_at: AtomicU64,
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
        let route_names: Vec<Arc<str>> = [Arc::from("")].into_iter().chain(routes.iter().cloned()).collect();
        let route_index = route_names.iter().cloned().enumerate().map(|(index, name)| (name, index)).collect();
        let shards = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 16);
        Self {
            shards: (0..shards).map(|_| Shard::new(route_names.len())).collect(),
            route_names,
            route_index,
            store_calls: Default::default(),
            refused: Default::default(),
            issuers: issuers
                .iter()
                .map(|name| IssuerCounts { name: Arc::clone(name), ..IssuerCounts::default() })
                .collect(),
            staleness_millis: AtomicU64::new(NEVER),
            revocations: Default::default(),
            ready: AtomicU64::new(0),
        }
    }

    fn issuer(&self, name: &str) -> Option<&IssuerCounts> {
        self.issuers.iter().find(|known| &*known.name == name)
    }

    /// The current thread's.
    #[expect(clippy::indexing_slicing, reason = "there is at least one shard, and the index is a remainder")]
    fn shard(&self) -> &Shard {
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
        &self.shards[thread % self.shards.len()]
    }
}

impl Shard {
    fn new(routes: usize) -> Self {
        Self {
            routes: (0..routes).map(|_| RouteCounts::default()).collect(),
            denials: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            credentials: Default::default(),
            connections: AtomicI64::new(0),
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
mod tests {
    use super::*;

    fn line<'a>(text: &'a str, start: &str) -> Option<&'a str> {
        text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim)
    }

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::with_issuers(&["app".into()], &["main".into()]);
        metrics.request(Some("app"), 200, Duration::from_micros(700));
        metrics.request(Some("app"), 404, Duration::from_micros(40));
        metrics.request(None, 404, Duration::from_micros(40));
        metrics.denial(Reason::TokenExpired);
        metrics.credential(CredentialKind::Jwt, true);
        metrics.connection(1);
        metrics.connection(1);
        metrics.connection(-1);
        metrics.connection_refused("handshake_timeout");
        metrics.revocation(Duration::from_millis(1500), [7, 0, 1, 0, 0, 0, 2]);
        metrics.store_call("find_session", Duration::from_micros(60), false);
        metrics.jwks_refresh("main", true);
        metrics.jwks_demand("main");
        metrics.jwks_keys("main", Timestamp(1_800_000_000_250));
        metrics.ready(true);

        let text = metrics.render();
        for (series, value) in [
            ("portcullis_requests_total{route=\"app\",status=\"2xx\"}", "1"),
            ("portcullis_requests_total{route=\"app\",status=\"4xx\"}", "1"),
            ("portcullis_requests_total{route=\"\",status=\"4xx\"}", "1"),
            ("portcullis_denials_total{reason=\"token_expired\"}", "1"),
            ("portcullis_denials_total{reason=\"revoked\"}", "0"),
            ("portcullis_credentials_total{kind=\"jwt\",cached=\"true\"}", "1"),
            ("portcullis_request_duration_seconds_count{route=\"app\"}", "2"),
            ("portcullis_request_duration_seconds_bucket{le=\"0.00005\",route=\"app\"}", "1"),
            ("portcullis_request_duration_seconds_bucket{le=\"+Inf\",route=\"app\"}", "2"),
            ("portcullis_connections", "1"),
            ("portcullis_connections_refused_total{reason=\"handshake_timeout\"}", "1"),
            ("portcullis_revocation_staleness_seconds", "1.5"),
            ("portcullis_revocations{kind=\"token\"}", "7"),
            ("portcullis_revocations{kind=\"session\"}", "1"),
            ("portcullis_revocations{kind=\"certificate\"}", "2"),
            ("portcullis_store_calls_total{operation=\"find_session\",ok=\"false\"}", "1"),
            ("portcullis_store_call_duration_seconds_count{operation=\"find_session\"}", "1"),
            ("portcullis_jwks_refreshes_total{issuer=\"main\",ok=\"true\"}", "1"),
            ("portcullis_jwks_demands_total{issuer=\"main\"}", "1"),
            ("portcullis_jwks_fetched_timestamp_seconds{issuer=\"main\"}", "1800000000.25"),
            ("portcullis_ready", "1"),
        ] {
            assert_eq!(line(&text, &format!("{series} ")), Some(value), "{series} in:\n{text}");
        }
        assert!(text.contains(&format!("portcullis_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_log_that_was_never_read_is_infinitely_stale() {
        let text = Metrics::new(&[]).render();
        assert_eq!(line(&text, "portcullis_revocation_staleness_seconds "), Some("inf"));
    }

    #[test]
    fn unknown_routes_issuers_and_odd_statuses_make_no_series() {
        let metrics = Metrics::new(&["app".into()]);
        let before = metrics.render().lines().count();
        metrics.request(Some("no-such-route"), 999, Duration::ZERO);
        metrics.jwks_refresh("no-such-issuer", false);
        metrics.jwks_keys("no-such-issuer", Timestamp(1));
        let text = metrics.render();
        assert!(!text.contains("no-such"), "{text}");
        assert_eq!(text.lines().count(), before);
    }

    #[test]
    fn threads_count_apart_and_are_summed() {
        let metrics = Metrics::new(&["app".into()]);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| metrics.request(Some("app"), 204, Duration::from_micros(1))));
            }
        });
        let text = metrics.render();
        assert_eq!(line(&text, "portcullis_requests_total{route=\"app\",status=\"2xx\"} "), Some("8000"));
    }

    #[test]
    fn operations_beyond_the_slots_are_not_counted_and_harm_nothing() {
        let metrics = Metrics::new(&[]);
        for number in 0..MAX_OPERATIONS + 5 {
            let name: &'static str = Box::leak(format!("operation_{number}").into_boxed_str());
            metrics.store_call(name, Duration::ZERO, true);
        }
        let text = metrics.render();
        assert!(text.contains("operation_31"), "{text}");
        assert!(!text.contains("operation_32"), "{text}");
    }

    #[test]
    fn every_kind_of_credential_has_its_own_place() {
        let mut places: Vec<_> = CREDENTIALS
            .iter()
            .flat_map(|kind| [credential_index(*kind, false), credential_index(*kind, true)])
            .collect();
        places.sort_unstable();
        assert_eq!(places, (0..CREDENTIALS.len() * 2).collect::<Vec<_>>());
    }

    #[test]
    fn every_reason_has_its_own_place() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
