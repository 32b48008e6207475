//! The composition root: the only place that wires, and that knows in which order things start and end.
//!
//! Request-serving threads (`workers`) each run a single-threaded runtime with their own gate, upstream connections and
//! store handle; one more thread (`background`) follows the revocation log, keeps issuers' keys fresh and serves the admin
//! plane. Everything that can be refused is refused before the first of them starts.

mod background;
mod certificates;
mod check;
mod fixed;
mod generation;
mod listeners;
pub mod notify;
mod order;
mod prints;
pub mod process;
mod reload;
mod running;
pub mod signals;
mod sockets;
mod source;
mod upgrade;
mod watch;
mod workers;
mod workload;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;

pub use running::{Drained, Running};
pub use source::Source;
pub use upgrade::{Inheritance, Line, Program, Upgrade};

use self::generation::Generation;
use self::listeners::Listeners;
use self::reload::{InForce, Reloader};
use self::sockets::Sockets;
use self::source::Traits;
use self::upgrade::AdminDoors;
use self::workers::{WorkerParts, Workers};
use crate::admin::{self, Api, Operations, Readiness, Reloads};
use crate::edge::{Drain, ListenError};
use crate::gate::GateError;
use crate::model::settings::Settings;
use crate::model::{Clock, Entropy, Observer, SystemClock, SystemEntropy};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::upstream::{Checker, UpstreamError};

/// The whole of Portcullis.
pub struct App;

/// What the process around it provides.
#[derive(Clone)]
pub struct Options {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// Where other configurations come from; `None`: there is none but the first.
    pub source: Option<Source>,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), source: None }
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
        Self::start_with(settings, options, None)
    }

    /// The same with sockets of a process whose place is to be taken; where there are any, nothing is accepted before
    /// [`Running::take_over`].
    pub fn start_with(
        settings: Settings,
        options: Options,
        inheritance: Option<Inheritance>,
    ) -> Result<Running, StartError> {
        let open = CancellationToken::new();
        if inheritance.is_none() {
            open.cancel();
        }
        let Options { clock, entropy, source } = &options;
        if let Some(spiffe) = &settings.spiffe {
            workload::first(spiffe)?;
        }
        let metrics = metrics(&settings);
        let observer: Arc<dyn Observer> = metrics.clone();
        let generation = Arc::new(Generation::first(settings, &metrics, &options)?);
        let Generation { settings, shared, .. } = &*generation;
        let store = Store::open(&settings.store, clock.clone(), observer.clone())?;
        let checker = Checker::new(&generation.conditions, entropy.clone())?;
        let sockets = Sockets::open(settings, inheritance, clock, entropy, &observer)?;
        let admin = AdminDoors::new(&sockets.admin, settings);
        let admin = admin.map_err(|problem| StartError::Failed(format!("a socket cannot be held: {problem}")))?;
        let (addresses, taken) = (sockets.addresses(), sockets.taken);
        let listeners = Listeners::new(sockets.listeners);

        let readiness = Arc::new(Readiness::new(metrics.clone()));
        let (drain, stop) = (Drain::new(), CancellationToken::new());
        let traits = source.as_ref().map_or_else(Arc::<Traits>::default, |source| source.first.clone());
        metrics.configuration(&traits.digest, clock.now());
        metrics.certificates(certificates::expiries(settings));
        let in_force = InForce {
            settings: Arc::new(ArcSwap::new(settings.clone())),
            shared: Arc::new(ArcSwap::new(shared.clone())),
            issuers: Arc::new(Sender::new(shared.issuers.clone())),
            conditions: Arc::new(ArcSwap::from_pointee(generation.conditions.clone())),
            checker: Arc::new(Sender::new(Arc::new(checker))),
            credentials: Arc::new(Sender::new(generation.conditions.credentials().clone())),
            traits: Arc::new(Sender::new(traits)),
        };
        let listed = in_force.conditions.clone();
        metrics.ask_upstreams(move || listed.load().counts());
        let own = admin::in_force(store.handle(), shared.revocations.clone());
        let operations = Operations::new(settings, own, clock.clone(), entropy.clone());
        let (reloads, requests) = Reloads::new();
        let api = Arc::new(Api {
            operations: ArcSwap::from_pointee(operations),
            readiness: readiness.clone(),
            shared: in_force.shared.clone(),
            conditions: in_force.conditions.clone(),
            reloads: reloads.clone(),
            started_at: clock.now(),
        });
        let (workers, lines) = Workers::start(WorkerParts {
            generation: generation.clone(),
            store: store.handle(),
            listeners: listeners.all(),
            open: open.clone(),
            drain: drain.clone(),
            stop: stop.clone(),
        })?;
        let reloader = source.clone().map(|source| Reloader {
            source,
            requests,
            generation: generation.clone(),
            in_force: in_force.clone(),
            listeners: listeners.clone(),
            lines,
            api: api.clone(),
            store: store.handle(),
            entropy: entropy.clone(),
        });
        let background = background::start(background::Parts {
            readiness: readiness.clone(),
            in_force: in_force.clone(),
            store,
            listeners: listeners.clone(),
            api,
            admin: sockets.admin,
            reloader,
            open: open.clone(),
            closed: admin.closed.clone(),
            stop: stop.clone(),
        });
        let background = match background {
            Ok(background) => background,
            Err(problem) => {
                stop.cancel();
                return Err(problem);
            }
        };
        let (settings, background) = (in_force.settings, Some(background));
        Ok(Running {
            addresses,
            listeners,
            readiness,
            drain,
            stop,
            workers,
            background,
            settings,
            shared: in_force.shared,
            admin,
            taken,
            open,
            reloads,
            has_source: source.is_some(),
        })
    }
}

/// With a series for each route and issuer.
fn metrics(settings: &Settings) -> Arc<Metrics> {
    let routes: Vec<_> = settings.routes.iter().map(|route| route.name.clone()).collect();
    let issuers: Vec<_> = settings.issuers.iter().map(|issuer| issuer.name.clone()).collect();
    Arc::new(Metrics::with_issuers(&routes, &issuers))
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
