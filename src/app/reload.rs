//! Another configuration takes the place of the one in force: all of it, or nothing.
//!
//! First everything is read and built beside what serves: keys, gates, certificates, sockets, each worker's connections to
//! upstreams. Whatever fails there is told, and nothing has changed. Only then is each worker handed what is ready, which it
//! takes up between two requests.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;

use super::generation::Generation;
use super::listeners::{Listeners, Plan};
use super::order::Order;
use super::source::{Source, Traits};
use super::watch::TRIED_AGAIN;
use super::workers::{self, Line};
use super::{certificates, fixed};
use crate::admin::views::rfc3339;
use crate::admin::{Api, Operations, ReloadRequest, ReloadView, in_force};
use crate::config::Loaded;
use crate::crypto::Issuers;
use crate::gate::{Gate, Shared};
use crate::model::expiry::Expiries;
use crate::model::settings::Settings;
use crate::model::{Entropy, Observer};
use crate::store::Store;
use crate::upstream::{Checker, Conditions, Credentials};

/// A worker that takes longer to get ready is broken.
const WORKER_PATIENCE: Duration = Duration::from_secs(20);
/// What issuers that are new may take to send their first keys; whoever takes longer is waited for by requests.
const FIRST_KEYS: Duration = Duration::from_secs(5);

/// What is in force, for whoever must know it at any time.
#[derive(Clone)]
pub(super) struct InForce {
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) shared: Arc<ArcSwap<Shared>>,
    pub(super) issuers: Arc<watch::Sender<Arc<Issuers>>>,
    pub(super) conditions: Arc<ArcSwap<Conditions>>,
    pub(super) checker: Arc<watch::Sender<Arc<Checker>>>,
    pub(super) credentials: Arc<watch::Sender<Credentials>>,
    pub(super) traits: Arc<watch::Sender<Arc<Traits>>>,
}

/// Carries out reloads, one at a time.
pub(super) struct Reloader {
    pub(super) source: Source,
    pub(super) requests: mpsc::UnboundedReceiver<ReloadRequest>,
    pub(super) generation: Arc<Generation>,
    pub(super) in_force: InForce,
    pub(super) listeners: Listeners,
    pub(super) lines: Vec<Line>,
    pub(super) api: Arc<Api>,
    pub(super) store: Store,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// Everything that could be built without a worker.
struct Built {
    generation: Arc<Generation>,
    gates: Vec<Gate>,
    plan: Plan,
    checker: Checker,
    traits: Arc<Traits>,
    expiries: Expiries,
}

impl Reloader {
    /// Until nobody can ask any more.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.requests.recv().await {
            let mut all = vec![first];
            // Those who asked meanwhile want what is there now, all the same.
            while let Ok(another) = self.requests.try_recv() {
                all.push(another);
            }
            let cause = all.first().map_or("", |request| request.cause);
            let outcome = self.reload(cause).await;
            for request in all {
                let _ = request.done.send(outcome.clone());
            }
        }
    }

    async fn reload(&mut self, cause: &str) -> ReloadView {
        let problem = self.try_reload().await.err();
        let clock = &self.generation.shared.clock;
        let metrics = &self.generation.shared.metrics;
        let now = clock.now();
        let outcome = ReloadView {
            applied: problem.is_none(),
            cause: cause.to_owned(),
            at: rfc3339(now),
            configuration: self.in_force.traits.borrow().digest.clone(),
            problem,
        };
        let is_known = |last: ReloadView| last.problem == outcome.problem;
        if cause == TRIED_AGAIN && !outcome.applied && self.api.reloads.last().is_some_and(is_known) {
            return outcome;
        }
        metrics.reload(outcome.applied);
        match &outcome.problem {
            None => {
                metrics.configuration(&outcome.configuration, now);
                tracing::info!(cause, configuration = outcome.configuration, "reloaded");
            }
            Some(problem) => {
                tracing::error!(cause, "reload refused; the configuration before stays in force");
                problem.lines().for_each(|line| tracing::error!("{line}"));
            }
        }
        self.api.reloads.note(outcome.clone());
        outcome
    }

    async fn try_reload(&mut self) -> Result<(), String> {
        let Built { generation, gates, plan, checker, traits, expiries } = self.build().await?;
        self.fetch_keys(&generation).await;
        self.prepare(&generation, gates).await.inspect_err(|_| self.abandon())?;
        self.commit(generation, plan).await?;
        self.in_force.checker.send_replace(Arc::new(checker));
        self.generation.shared.metrics.certificates(expiries);
        self.in_force.traits.send_replace(traits);
        Ok(())
    }

    /// Reads and builds on a thread that may block.
    async fn build(&self) -> Result<Built, String> {
        let (load, before, listeners) = (self.source.load.clone(), self.generation.clone(), self.listeners.clone());
        let stores: Vec<Store> = self.lines.iter().map(|line| line.store.clone()).collect();
        let known = self.in_force.traits.borrow().prints.clone();
        let entropy = self.entropy.clone();
        let built = spawn_blocking(move || {
            let files = known.again();
            let loaded = load()?;
            for warning in &loaded.warnings.problems {
                let place = format!("{}:{}:{}", warning.file, warning.line, warning.column);
                tracing::warn!(place, help = warning.help, "{}", warning.message);
            }
            let traits = Arc::new(Traits::of(&loaded, &files));
            let Loaded { settings, .. } = loaded;
            let fixed = fixed::changed(&before.settings, &settings);
            if !fixed.is_empty() {
                return Err(fixed::refusal(&fixed));
            }
            let told = |problem: super::StartError| problem.to_string();
            let generation = Arc::new(before.next(settings).map_err(told)?);
            let gates = stores.into_iter().map(|store| workers::gate(&generation, store));
            let gates = gates.collect::<Result<_, _>>().map_err(told)?;
            let checker = Checker::new(&generation.conditions, entropy).map_err(|problem| problem.to_string())?;
            let Shared { clock, metrics, .. } = &*generation.shared;
            let observer: Arc<dyn Observer> = metrics.clone();
            let plan = listeners.plan(&generation.settings, clock, &observer).map_err(told)?;
            let expiries = certificates::expiries(&generation.settings);
            Ok(Built { generation, gates, plan, checker, traits, expiries })
        });
        built.await.map_err(|_| "reading the configuration broke off".to_owned())?
    }

    /// So that no request meets an issuer without keys, or lacks a credential to show, because of a reload. Where they
    /// cannot be had, things are as they would be after a start.
    async fn fetch_keys(&self, generation: &Generation) {
        let keys = tokio::time::timeout(FIRST_KEYS, generation.shared.issuers.fetch_missing());
        let tokens = tokio::time::timeout(FIRST_KEYS, generation.conditions.credentials().fetch_missing());
        let (keys, tokens) = tokio::join!(keys, tokens);
        if keys.is_err() {
            tracing::warn!("an issuer has not sent its keys yet; going on without them");
        }
        if tokens.is_err() {
            tracing::warn!("a token for an upstream has not come yet; going on without it");
        }
    }

    async fn prepare(&self, generation: &Arc<Generation>, gates: Vec<Gate>) -> Result<(), String> {
        let mut outcomes = Vec::with_capacity(self.lines.len());
        for (line, gate) in self.lines.iter().zip(gates) {
            let (done, outcome) = oneshot::channel();
            let order = Order::Prepare { generation: generation.clone(), gate: Box::new(gate), done };
            line.orders.send(order).map_err(|_| "a worker has ended".to_owned())?;
            outcomes.push(outcome);
        }
        for outcome in outcomes {
            match tokio::time::timeout(WORKER_PATIENCE, outcome).await {
                Ok(Ok(outcome)) => outcome?,
                Ok(Err(_)) | Err(_) => return Err("a worker does not get ready".to_owned()),
            }
        }
        Ok(())
    }

    fn abandon(&self) {
        for line in &self.lines {
            let _ = line.orders.send(Order::Abandon);
        }
    }

    /// Nothing can be refused any more.
    async fn commit(&mut self, generation: Arc<Generation>, mut plan: Plan) -> Result<(), String> {
        let Generation { settings, shared, .. } = &*generation;
        let routes: Vec<_> = settings.routes.iter().map(|route| route.name.clone()).collect();
        let issuers: Vec<_> = settings.issuers.iter().map(|issuer| issuer.name.clone()).collect();
        shared.metrics.extend(&routes, &issuers);
        shared.adopt(settings);
        let staying = plan.renew();
        let mut outcomes = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let (done, outcome) = oneshot::channel();
            let _ = line.orders.send(Order::Commit { opened: plan.opened(), leaving: plan.leaves_any(), done });
            outcomes.push(outcome);
        }
        let mut broken = false;
        for outcome in outcomes {
            broken |= outcome.await.is_err();
        }
        plan.retire(staying, &self.listeners);
        let store = in_force(self.store.handle(), shared.revocations.clone());
        let operations = Operations::new(settings, store, shared.clock.clone(), self.entropy.clone());
        self.api.operations.store(Arc::new(operations));
        self.in_force.settings.store(settings.clone());
        self.in_force.shared.store(shared.clone());
        self.in_force.conditions.store(Arc::new(generation.conditions.clone()));
        self.in_force.credentials.send_replace(generation.conditions.credentials().clone());
        self.in_force.issuers.send_replace(shared.issuers.clone());
        self.generation = generation;
        if broken { Err("a worker has ended".to_owned()) } else { Ok(()) }
    }
}
