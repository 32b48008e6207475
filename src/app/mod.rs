//! The composition root: the only place that wires, and that knows in which order things start and end.
//!
//! Request-serving threads (`workers`) each run a single-threaded runtime with their own gate, upstream connections and
//! store handle; one more thread (`background`) follows the revocation log, keeps issuers' keys fresh and serves the admin
//! plane. Everything that can be refused is refused before the first of them starts.

mod background;
mod check;
pub mod process;
mod running;
pub mod signals;
mod sockets;
mod workers;

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

pub use running::{Drained, Running};

use self::sockets::Sockets;
use self::workers::{WorkerParts, Workers};
use crate::admin::{Api, Operations, Readiness, in_force};
use crate::crypto::{Introspector, Issuers, KeyError, Signer};
use crate::edge::{Drain, ListenError};
use crate::gate::identity::{Cache, Passwords};
use crate::gate::limit::Limits;
use crate::gate::proof::Instance;
use crate::gate::revocation::RevocationSet;
use crate::gate::{GateError, Shared};
use crate::model::settings::Settings;
use crate::model::{Clock, Entropy, Observer, SystemClock, SystemEntropy};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::upstream::{Checker, Conditions, UpstreamError};

/// How many verified credentials are kept; the memory is taken as they come.
const CACHED_CREDENTIALS: u64 = 100_000;
/// And this much memory for them, about: whoever can make an issuer sign large tokens must not fill ours.
const CACHED_BYTES: u64 = 128 << 20;

/// The whole of Portcullis.
pub struct App;

/// What the process around it provides.
#[derive(Clone)]
pub struct Options {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What the configuration names cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// The surroundings do not allow it: an occupied port, no more threads.
    #[error("{0}")]
    Failed(String),
}

impl App {
    /// Starts everything; returns once all listeners are open and all workers serve. Needs no runtime, and waits for
    /// nothing outside this machine: whether store and issuers can be reached shows in [`Running::ready`].
    pub fn start(settings: Settings, options: Options) -> Result<Running, StartError> {
        let Options { clock, entropy } = options;
        let metrics = metrics(&settings);
        let observer: Arc<dyn Observer> = metrics.clone();
        let signer = Arc::new(signer(&settings)?);
        let shared = shared(&settings, &metrics, &clock, &entropy)?;
        let store = Store::open(&settings.store, clock.clone(), observer.clone())?;
        let conditions = Conditions::new(&settings.upstreams);
        let checker = Checker::new(&conditions, entropy.clone())?;
        let sockets = Sockets::open(&settings, &clock, &entropy, &observer)?;
        let addresses = sockets.addresses();

        let readiness = Arc::new(Readiness::new(metrics));
        let drain = Drain::new();
        let stop = CancellationToken::new();
        let api = Api {
            operations: Operations::new(&settings, in_force(store.handle(), shared.clone()), clock.clone(), entropy),
            readiness: readiness.clone(),
            shared: shared.clone(),
            started_at: clock.now(),
        };
        let jwks = Bytes::from(signer.jwks().to_string());
        let server = settings.server.clone();
        let workers = Workers::start(WorkerParts {
            settings: Arc::new(settings),
            shared: shared.clone(),
            conditions,
            store: store.handle(),
            signer,
            jwks,
            listeners: Arc::new(sockets.listeners),
            drain: drain.clone(),
            stop: stop.clone(),
        })?;
        let background = background::start(background::Parts {
            readiness: readiness.clone(),
            shared,
            checker,
            store,
            api: Arc::new(api),
            admin: sockets.admin,
            stop: stop.clone(),
        });
        let background = match background {
            Ok(background) => background,
            Err(problem) => {
                stop.cancel();
                return Err(problem);
            }
        };
        Ok(Running { addresses, readiness, drain, stop, workers, background: Some(background), server })
    }
}

/// The key that signs assertions.
fn signer(settings: &Settings) -> Result<Signer, StartError> {
    match &settings.assertion.key {
        Some(pem) => Signer::from_pem(pem.expose())
            .map_err(|problem| StartError::Configuration(format!("assertion.key: {problem}"))),
        None => Signer::generate().map_err(|problem| StartError::Failed(problem.to_string())),
    }
}

/// What all workers share.
fn shared(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<Shared>, StartError> {
    Ok(Arc::new(Shared {
        issuers: Arc::new(Issuers::new(&settings.issuers, clock.clone(), metrics.clone())?),
        cache: Cache::new(CACHED_CREDENTIALS, CACHED_BYTES),
        introspector: introspector(settings, clock)?,
        passwords: passwords(settings, &**entropy)?,
        revocations: RevocationSet::new(settings.max_staleness),
        maintenance: Arc::default(),
        proofs: Instance::new(&settings.dpop, &**entropy),
        limits: Limits::new(&settings.limits, clock.clone()),
        metrics: metrics.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    }))
}

fn introspector(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Introspector>>, StartError> {
    let introspector = settings.opaque.as_ref().map(|opaque| Introspector::new(opaque, clock.clone())).transpose();
    introspector.map(|found| found.map(Arc::new)).map_err(|problem| StartError::Configuration(problem.to_string()))
}

fn passwords(settings: &Settings, entropy: &dyn Entropy) -> Result<Option<Arc<Passwords>>, StartError> {
    let passwords = settings.basic.as_ref().map(|basic| Passwords::open(basic, entropy)).transpose();
    passwords.map(|found| found.map(Arc::new)).map_err(|problem| StartError::Configuration(problem.to_string()))
}

/// With a series for each route and issuer.
fn metrics(settings: &Settings) -> Arc<Metrics> {
    let routes: Vec<_> = settings.routes.iter().map(|route| route.name.clone()).collect();
    let issuers: Vec<_> = settings.issuers.iter().map(|issuer| issuer.name.clone()).collect();
    Arc::new(Metrics::with_issuers(&routes, &issuers))
}

impl From<KeyError> for StartError {
    fn from(problem: KeyError) -> Self {
        Self::Configuration(problem.to_string())
    }
}

impl From<UpstreamError> for StartError {
    fn from(problem: UpstreamError) -> Self {
        Self::Configuration(problem.to_string())
    }
}

impl From<GateError> for StartError {
    fn from(problem: GateError) -> Self {
        Self::Configuration(problem.to_string())
    }
}

impl From<ListenError> for StartError {
    fn from(problem: ListenError) -> Self {
        Self::Failed(problem.to_string())
    }
}

impl From<StoreError> for StartError {
    fn from(problem: StoreError) -> Self {
        match problem {
            StoreError::Misconfigured(_) => Self::Configuration(format!("store: {problem}")),
            _ => Self::Failed(format!("store: {problem}")),
        }
    }
}
