//! The threads that serve requests, each with a runtime, a gate and upstream connections of its own.

use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::generation::Generation;
use super::order::{Order, Orders, carry_out};
use crate::edge::{Drain, Listener, Server};
use crate::gate::Gate;
use crate::proxy::{Current, Proxy};
use crate::store::Store;
use crate::upstream::Upstreams;

/// What every worker is made of.
#[derive(Clone)]
pub(super) struct WorkerParts {
    pub(super) generation: Arc<Generation>,
    pub(super) store: Store,
    pub(super) listeners: Vec<Arc<Listener>>,
    /// Cancelled once they may accept.
    pub(super) open: CancellationToken,
    pub(super) drain: Drain,
    pub(super) stop: CancellationToken,
}

/// All workers.
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    /// Yields one message for each worker that ends.
    ended: mpsc::Receiver<()>,
}

/// How one worker is spoken to, and its handle of the store.
pub(super) struct Line {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) store: Store,
}

/// Says that a worker has ended, also when it panics.
struct Alive(mpsc::Sender<()>);

impl Drop for Alive {
    fn drop(&mut self) {
        // There is room for each of them; nobody listens once the process is on its way out.
        let _ = self.0.try_send(());
    }
}

impl Workers {
    /// Starts them; returns once each of them serves, or stops them all.
    pub(super) fn start(parts: WorkerParts) -> Result<(Self, Vec<Line>), StartError> {
        let count = parts.generation.settings.server.workers.unwrap_or_else(available).max(1);
        let stop = parts.stop.clone();
        let (alive, ended) = mpsc::channel(count);
        let (started, outcomes) = std::sync::mpsc::channel();
        let mut workers = Self { threads: Vec::with_capacity(count), ended };
        let mut lines = Vec::with_capacity(count);
        let outcome = (0..count)
            .try_for_each(|number| {
                let parts = WorkerParts { store: parts.store.handle(), ..parts.clone() };
                let (alive, started) = (Alive(alive.clone()), started.clone());
                let (orders, arriving) = mpsc::unbounded_channel();
                lines.push(Line { orders, store: parts.store.clone() });
                let thread = std::thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || {
                        run(parts, arriving, &started);
                        drop(alive);
                    })
                    .map_err(|problem| StartError::Failed(format!("cannot start a thread: {problem}")))?;
                workers.threads.push(thread);
                Ok(())
            })
            .and_then(|()| {
                drop(started);
                (0..count).try_for_each(|_| {
                    outcomes.recv().unwrap_or_else(|_| Err(StartError::Failed("a worker broke off".to_owned())))
                })
            });
        match outcome {
            Ok(()) => Ok((workers, lines)),
            Err(problem) => {
                stop.cancel();
                workers.join();
                Err(problem)
            }
        }
    }

    /// Waits until one has ended, which none should before it is told to.
    pub(super) async fn one_ended(&mut self) {
        self.ended.recv().await;
    }

    /// Waits until all have ended.
    pub(super) async fn all_ended(&mut self) {
        while self.ended.recv().await.is_some() {}
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Waits for the threads, which must have been told to stop.
    pub(super) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

/// The CPUs that this process may use: affinity and the quota of its cgroup (v1 and v2) counted.
fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn run(parts: WorkerParts, orders: Orders, started: &std::sync::mpsc::Sender<Result<(), StartError>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(problem) => {
            let _ = started.send(Err(StartError::Failed(format!("cannot start a runtime: {problem}"))));
            return;
        }
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let WorkerParts { generation, store, listeners, open, drain, stop } = parts;
        let shed_above = generation.settings.server.shed_above;
        let proxy = gate(&generation, store).and_then(|gate| proxy(&generation, gate, None, drain.child()));
        match proxy {
            Ok(proxy) => {
                let current = Rc::new(Current::new(proxy));
                let server = Rc::new(Server::new(current.clone(), &drain, shed_above));
                if open.is_cancelled() {
                    listeners.into_iter().for_each(|listener| server.open(listener));
                } else {
                    let server = server.clone();
                    tokio::task::spawn_local(async move {
                        open.cancelled().await;
                        listeners.into_iter().for_each(|listener| server.open(listener));
                    });
                }
                let _ = started.send(Ok(()));
                tokio::task::spawn_local(carry_out(orders, current, server.clone()));
                tokio::select! {
                    () = server.run() => {}
                    () = stop.cancelled() => {}
                }
            }
            Err(problem) => {
                let _ = started.send(Err(problem));
            }
        }
    });
    drop(local);
    // Not to wait for a name that is still being resolved.
    runtime.shutdown_background();
}

/// One worker's gate; can be built on another thread.
pub(super) fn gate(generation: &Generation, store: Store) -> Result<Gate, StartError> {
    let Generation { settings, shared, signer, .. } = generation;
    Ok(Gate::new(settings, shared.clone(), store, signer.clone())?)
}

/// One worker's proxy, with the connections of the one before where they can stay. To be called in the worker, whose
/// `drain` it is.
pub(super) fn proxy(
    generation: &Generation,
    gate: Gate,
    before: Option<&Proxy>,
    drain: Drain,
) -> Result<Proxy, StartError> {
    let Generation { settings, shared, conditions, jwks, .. } = generation;
    let upstreams = match before {
        Some(before) => before.upstreams().renewed(&settings.upstreams, conditions)?,
        None => Upstreams::new(&settings.upstreams, conditions)?,
    };
    Ok(Proxy::new(gate, upstreams, shared.clone(), settings, jwks.clone(), drain))
}
