//! The thread beside the workers: follows the revocation log, keeps issuers' keys and what upstreams are shown fresh,
//! checks endpoints, serves the admin plane, and finds out when new requests are welcome.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::certificates;
use super::listeners::Listeners;
use super::reload::{InForce, Reloader};
use super::sockets::AdminSockets;
use super::watch::watch;
use crate::admin::serve::{Acceptor, serve};
use crate::admin::{Api, Guard, Health, Readiness};
use crate::crypto::{Issuers, workload};
use crate::gate::Shared;
use crate::gate::revocation::{self, Audience};
use crate::store::Store;
use crate::upstream::{Checker, Credentials};

/// What it is made of.
pub(super) struct Parts {
    pub(super) readiness: Arc<Readiness>,
    pub(super) in_force: InForce,
    pub(super) store: Store,
    pub(super) listeners: Listeners,
    pub(super) api: Arc<Api>,
    pub(super) admin: AdminSockets,
    pub(super) reloader: Option<Reloader>,
    /// Cancelled once the admin plane may accept, and once it is to accept no more.
    pub(super) open: CancellationToken,
    pub(super) closed: CancellationToken,
    pub(super) stop: CancellationToken,
}

/// Starts the thread; it ends when `stop` is cancelled.
pub(super) fn start(parts: Parts) -> Result<JoinHandle<()>, StartError> {
    let failed = |problem: std::io::Error| StartError::Failed(format!("cannot start the background thread: {problem}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build();
    let runtime = runtime.map_err(failed)?;
    let thread = std::thread::Builder::new().name("background".to_owned());
    let run = move || {
        let local = LocalSet::new();
        local.block_on(&runtime, run(parts));
        drop(local);
        runtime.shutdown_background();
    };
    thread.spawn(run).map_err(failed)
}

async fn run(parts: Parts) {
    let Parts { readiness, in_force, store, listeners, api, admin, reloader, open, closed, stop } = parts;
    let shared = in_force.shared.load_full();
    let follower = (Audience::of(&shared), store.handle());
    tokio::task::spawn_local(forever("following the revocation log", move || {
        let (audience, store) = follower.clone();
        async move { revocation::follow(&audience, &store).await }
    }));
    let keys = in_force.issuers.clone();
    tokio::task::spawn_local(forever("keeping issuers' keys", move || keep_keys(keys.subscribe())));
    let checkers = in_force.checker.clone();
    tokio::task::spawn_local(forever("checking endpoints", move || check_endpoints(checkers.subscribe())));
    tokio::task::spawn_local(forever("looking at client certificates", move || {
        look_at_certificates(listeners.clone())
    }));
    let credentials = in_force.credentials.clone();
    tokio::task::spawn_local(forever("keeping credentials for upstreams", move || {
        keep_credentials(credentials.subscribe())
    }));
    tokio::task::spawn_local(settle(readiness.clone(), shared, store));
    if let Some(spiffe) = in_force.settings.load().spiffe.clone() {
        tokio::task::spawn_local(forever("following the SPIFFE agent", move || {
            let spiffe = spiffe.clone();
            async move { workload::follow(&spiffe).await }
        }));
    }
    let reminded = in_force.clone();
    tokio::task::spawn_local(forever("looking at certificates' ends", move || certificates::remind(reminded.clone())));
    if let Some(reloader) = reloader {
        tokio::task::spawn_local(watch(in_force.clone(), reloader.api.reloads.clone()));
        tokio::task::spawn_local(reloader.run());
    }

    // The socket's file goes when this is dropped, at the end.
    let AdminSockets { health, owner, tcp } = admin;
    let health_answers = Arc::new(Health { readiness, shared: in_force.shared });
    let opened = (|| {
        if let Some(listener) = health {
            let acceptor = Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?);
            let serving = serve(acceptor, move |request| {
                let health = health_answers.clone();
                async move { health.answer(&request) }
            });
            tokio::task::spawn_local(between(open.clone(), closed.clone(), serving));
        }
        if let Some(socket) = &owner {
            let acceptor = Acceptor::Unix(tokio::net::UnixListener::from_std(socket.listener()?)?);
            let serving = operations(acceptor, Guard::Owner, api.clone());
            tokio::task::spawn_local(between(open.clone(), closed.clone(), serving));
        }
        if let Some((listener, guard)) = tcp {
            let acceptor = Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?);
            tokio::task::spawn_local(between(open.clone(), closed.clone(), operations(acceptor, guard, api)));
        }
        Ok::<_, std::io::Error>(())
    })();
    if let Err(problem) = opened {
        tracing::error!(%problem, "the admin plane is not served");
    }
    tokio::select! {
        () = stop.cancelled() => {}
        () = closed.cancelled() => {
            drop(owner);
            stop.cancelled().await;
        }
    }
}

/// Serves from when it may until it is to accept no more; what has been accepted is answered.
async fn between(open: CancellationToken, closed: CancellationToken, serving: impl Future<Output = ()>) {
    open.cancelled().await;
    tokio::select! {
        () = serving => {}
        () = closed.cancelled() => {}
    }
}

/// Keeps the keys of whichever issuers are in force.
async fn keep_keys(mut in_force: watch::Receiver<Arc<Issuers>>) {
    loop {
        let issuers = in_force.borrow_and_update().clone();
        tokio::select! {
            () = issuers.run() => {}
            Ok(()) = in_force.changed() => {}
        }
    }
}

/// Keeps what upstreams are shown by whichever configuration is in force.
async fn keep_credentials(mut in_force: watch::Receiver<Credentials>) {
    loop {
        let credentials = in_force.borrow_and_update().clone();
        tokio::select! {
            () = credentials.run() => {}
            Ok(()) = in_force.changed() => {}
        }
    }
}

/// Checks the endpoints of whichever configuration is in force.
async fn check_endpoints(mut in_force: watch::Receiver<Arc<Checker>>) {
    loop {
        let checker = in_force.borrow_and_update().clone();
        tokio::select! {
            () = checker.run() => {}
            Ok(()) = in_force.changed() => {}
        }
    }
}

/// Ends the connections whose client certificates have ended, or can no longer be told from revoked ones.
async fn look_at_certificates(listeners: Listeners) {
    loop {
        tokio::time::sleep(CERTIFICATES_EVERY).await;
        for listener in listeners.all() {
            // Where a revocation list has ended there may be thousands to verify. Its end is no error here.
            let _ = tokio::task::spawn_blocking(move || listener.look_again()).await;
        }
    }
}

/// Does what must never end, and does it again should it end or panic: meanwhile what is known grows stale, and what is
/// stale is refused.
async fn forever<F: Future<Output = ()> + 'static>(what: &'static str, work: impl Fn() -> F) {
    loop {
        let ended = tokio::task::spawn_local(work()).await;
        tracing::error!(panicked = ended.is_err(), "{what} broke off; it is begun again");
        tokio::time::sleep(LONGEST_PAUSE).await;
    }
}

async fn operations(acceptor: Acceptor, guard: Guard, api: Arc<Api>) {
    let guard = Arc::new(guard);
    serve(acceptor, move |request| {
        let (api, guard) = (api.clone(), guard.clone());
        async move { api.answer(&guard, request).await }
    })
    .await;
}

/// How long to wait before asking again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often client certificates of open connections are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(1);
/// Reasons that go away by themselves within this time are not worth a line in the log.
const PATIENCE: Duration = Duration::from_millis(100);

/// Ready once the store may be used and the revocation log has been read; the listeners are open already.
async fn settle(readiness: Arc<Readiness>, shared: Arc<Shared>, store: Store) {
    let mut pause = FIRST_PAUSE;
    let mut last_logged = Vec::new();
    loop {
        let mut reasons = Vec::new();
        if let Err(problem) = store.ping().await {
            reasons.push(format!("store: {problem}"));
        }
        if shared.revocations.staleness(shared.clock.now()).is_none() {
            reasons.push("the revocation log has not been read yet".to_owned());
        }
        if reasons.is_empty() {
            readiness.ready();
            tracing::info!("ready");
            return;
        }
        if pause > PATIENCE && reasons != last_logged {
            tracing::warn!(reasons = reasons.join("; "), "not ready");
            last_logged.clone_from(&reasons);
        }
        readiness.waiting_for(reasons);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
