//! The thread beside the workers: follows the revocation log, keeps issuers' keys fresh, checks endpoints, serves the admin plane, and
//! finds out when new requests are welcome.

use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::sockets::AdminSockets;
use crate::admin::serve::{Acceptor, serve};
use crate::admin::{Api, Guard, Health, Readiness};
use crate::gate::{Shared, revocation};
use crate::store::Store;
use crate::upstream::Checker;

/// What it is made of.
pub(super) struct Parts {
    pub(super) readiness: Arc<Readiness>,
    pub(super) shared: Arc<Shared>,
    pub(super) checker: Checker,
    pub(super) store: Store,
    pub(super) api: Arc<Api>,
    pub(super) admin: AdminSockets,
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
    let Parts { readiness, shared, checker, store, api, admin, stop } = parts;
    let follower = (shared.clone(), store.handle());
    tokio::task::spawn_local(forever("following the revocation log", move || {
        let (shared, store) = follower.clone();
        async move { revocation::follow(&shared, &store).await }
    }));
    let keys = shared.clone();
    tokio::task::spawn_local(forever("keeping issuers' keys", move || {
        let keys = keys.clone();
        async move { keys.issuers.run().await }
    }));
    let checker = Rc::new(checker);
    tokio::task::spawn_local(forever("checking endpoints", move || {
        let checker = checker.clone();
        async move { checker.run().await }
    }));
    tokio::task::spawn_local(settle(readiness.clone(), shared.clone(), store));

    // The socket's file goes when this is dropped, at the end.
    let AdminSockets { health, owner, tcp } = admin;
    let health_answers = Arc::new(Health { readiness, shared });
    let opened = (|| {
        if let Some(listener) = health {
            let acceptor = Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?);
            tokio::task::spawn_local(serve(acceptor, move |request| {
                let health = health_answers.clone();
                async move { health.answer(&request) }
            }));
        }
        if let Some(socket) = &owner {
            let acceptor = Acceptor::Unix(tokio::net::UnixListener::from_std(socket.listener()?)?);
            tokio::task::spawn_local(operations(acceptor, Guard::Owner, api.clone()));
        }
        if let Some((listener, guard)) = tcp {
            let acceptor = Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?);
            tokio::task::spawn_local(operations(acceptor, guard, api));
        }
        Ok::<_, std::io::Error>(())
    })();
    if let Err(problem) = opened {
        tracing::error!(%problem, "the admin plane is not served");
    }
    stop.cancelled().await;
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
