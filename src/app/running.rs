//! A Portcullis that runs, and how it ends.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::listeners::Listeners;
use super::notify;
use super::sockets::Addresses;
use super::upgrade::AdminDoors;
use super::workers::Workers;
use crate::admin::{Readiness, ReloadView, Reloads};
use crate::edge::Drain;
use crate::gate::Shared;
use crate::model::settings::{Bind, Settings};

/// How long clients that are idle are waited for after an upgrade: a little longer than their connections do by themselves.
const LAST_CALL: Duration = Duration::from_secs(6);
/// How often it is looked whether any are left.
const LOOK: Duration = Duration::from_millis(20);

/// A Portcullis that runs. Dropping it ends it at once.
pub struct Running {
    pub(super) addresses: Addresses,
    pub(super) listeners: Listeners,
    pub(super) readiness: Arc<Readiness>,
    pub(super) drain: Drain,
    pub(super) stop: CancellationToken,
    pub(super) workers: Workers,
    pub(super) background: Option<JoinHandle<()>>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) shared: Arc<ArcSwap<Shared>>,
    pub(super) admin: AdminDoors,
    /// What the sockets are for that another process had opened.
    pub(super) taken: Vec<String>,
    /// Cancelled once connections may be accepted.
    pub(super) open: CancellationToken,
    pub(super) reloads: Reloads,
    pub(super) has_source: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request in flight was answered.
    Completely,
    /// `shutdown_grace` was over before that; what was left has been cut off.
    CutOff,
}

impl Running {
    /// The TCP address of the listener of this name.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.listeners().into_iter().find(|(name, _)| &**name == listener).and_then(|(_, bind)| match bind {
            Bind::Tcp(address) => Some(address),
            Bind::Unix(_) => None,
        })
    }

    /// Every listener and where it listens.
    pub fn listeners(&self) -> Vec<(Arc<str>, Bind)> {
        self.listeners.addresses()
    }

    /// Puts what the source of configurations says now in force, or says why that cannot be. `None`: there is no source,
    /// or nobody reloads any more. Requests under way end as they began.
    pub async fn reload(&self, cause: &'static str) -> Option<ReloadView> {
        self.reloads.reload(cause).await
    }

    /// Whether it has a source of other configurations.
    pub fn can_reload(&self) -> bool {
        self.has_source
    }

    /// For who asks on behalf of others.
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.addresses.health
    }

    /// The Unix socket of operations.
    pub fn admin_socket(&self) -> Option<&Path> {
        self.addresses.admin_socket.as_deref()
    }

    /// The TCP address of operations.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.addresses.admin_tcp
    }

    /// How many threads serve requests.
    pub fn worker_count(&self) -> usize {
        self.workers.count()
    }

    /// Waits until new requests are welcome; `false` where draining came first.
    pub async fn ready(&self) -> bool {
        self.readiness.started().await
    }

    /// Tells the service manager once new requests are welcome. Needs a runtime.
    pub fn tell_once_ready(&self) {
        let readiness = self.readiness.clone();
        tokio::spawn(async move {
            if readiness.started().await {
                notify::send("READY=1");
            }
        });
    }

    /// Waits until a worker has broken off. What is left should be ended then: it serves with less than was asked for.
    pub async fn failed(&mut self) {
        self.workers.one_ended().await;
    }

    /// Becomes unready, for good: whoever balances load is to look elsewhere. [`Running::shutdown`] begins with it.
    pub fn unready(&self) {
        self.readiness.draining();
    }

    /// Ends it with patience: unready, `drain_delay`, no new connections, then at most `shutdown_grace` for what is in
    /// flight.
    pub async fn shutdown(mut self) -> Drained {
        self.unready();
        let server = self.settings.load().server.clone();
        tokio::time::sleep(server.drain_delay).await;
        self.drain.begin();
        let outcome = match tokio::time::timeout(server.shutdown_grace, self.workers.all_ended()).await {
            Ok(()) => Drained::Completely,
            Err(_) => Drained::CutOff,
        };
        self.stop_now();
        outcome
    }

    /// Ends it after an [`Upgrade`](super::Upgrade), while another process accepts: clients that are idle are waited for,
    /// so that none sends a request into a connection that is being closed; then as [`Running::shutdown`].
    pub async fn finish(mut self) -> Drained {
        self.unready();
        self.admin.let_go();
        let grace = self.settings.load().server.shutdown_grace;
        let quiet = async {
            while self.listeners.all().iter().any(|listener| listener.connections() > 0) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let begun = Instant::now();
        // Its end is no error here.
        let _ = tokio::time::timeout(LAST_CALL.min(grace), quiet).await;
        self.drain.begin();
        let left = grace.saturating_sub(begun.elapsed());
        let outcome = match tokio::time::timeout(left, self.workers.all_ended()).await {
            Ok(()) => Drained::Completely,
            Err(_) => Drained::CutOff,
        };
        self.stop_now();
        outcome
    }

    fn stop_now(&mut self) {
        self.stop.cancel();
        self.workers.join();
        if let Some(background) = self.background.take() {
            // If it panicked it has said so on standard error.
            let _ = background.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_now();
    }
}
