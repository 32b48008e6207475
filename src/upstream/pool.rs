//! The connections of one worker to one endpoint.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::HeaderValue;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::connect::{ConnectError, connect};
use super::request::RequestBody;
use super::tls::EndpointTls;
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{Endpoint, UpstreamSettings};

/// For how long an endpoint that could not be reached is tried after the others.
const AVOID: Duration = Duration::from_secs(1);

/// Connections to one endpoint: those in use are counted, those at rest are kept, the last used on top.
pub(super) struct Pool {
    pub(super) endpoint: Endpoint,
    /// What `Host` says to it, where it is told its own name.
    pub(super) authority: HeaderValue,
    settings: Arc<UpstreamSettings>,
    tls: Option<EndpointTls>,
    idle: RefCell<Vec<Idle>>,
    open: Cell<usize>,
    in_use: Cell<usize>,
    avoid_until: Cell<Option<Instant>>,
    sweeping: Cell<bool>,
    retired: Cell<bool>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    /// Weak, so that a connection that its peer closes stops counting at once.
    slot: Weak<Slot>,
    since: Instant,
}

/// One of the connections that an endpoint may have; given back when the last holder drops it. The connection's task
/// holds it, and whoever uses the connection, so that it still counts when the task has handed it to a tunnel.
pub(super) struct Slot {
    pool: Rc<Pool>,
    /// Whether the upstream has sent anything since it was last cleared; one thread's only, and atomic because hyper
    /// wants to be able to send a connection to another.
    pub(super) heard: Arc<AtomicBool>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.open.set(self.pool.open.get().saturating_sub(1));
    }
}

/// A connection in somebody's hands. Dropped, it is closed; [`Lease::give_back`] keeps it.
pub(super) struct Lease {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) slot: Rc<Slot>,
    /// Whether it has carried a request before.
    pub(super) reused: bool,
    use_of: Use,
}

/// A request to an endpoint, counted until this is dropped.
struct Use(Rc<Pool>);

impl Use {
    fn new(pool: &Rc<Pool>) -> Self {
        pool.in_use.set(pool.in_use.get() + 1);
        Self(pool.clone())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.in_use.set(self.0.in_use.get().saturating_sub(1));
    }
}

impl Lease {
    /// Puts it on top of the idle ones, if the exchange is over on both sides. When it is not (an answer that came
    /// before the request's end), who comes next would wait for somebody else's client.
    pub(super) fn give_back(self) {
        let pool = &self.slot.pool;
        if self.sender.is_ready() && !pool.retired.get() {
            let mut idle = pool.idle.borrow_mut();
            if idle.len() < pool.settings.max_idle {
                idle.push(Idle { sender: self.sender, slot: Rc::downgrade(&self.slot), since: Instant::now() });
                drop(idle);
                pool.sweep();
            }
        }
    }

    /// Who is at its other end.
    pub(super) fn pool(&self) -> &Rc<Pool> {
        &self.use_of.0
    }
}

impl Pool {
    pub(super) fn new(
        settings: Arc<UpstreamSettings>,
        endpoint: Endpoint,
        tls: Option<EndpointTls>,
    ) -> Result<Rc<Self>, String> {
        let authority = HeaderValue::try_from(endpoint.authority())
            .map_err(|_| format!("`{}` cannot be a Host", endpoint.authority()))?;
        Ok(Rc::new(Self {
            endpoint,
            authority,
            settings,
            tls,
            idle: RefCell::default(),
            open: Cell::new(0),
            in_use: Cell::new(0),
            avoid_until: Cell::new(None),
            sweeping: Cell::new(false),
            retired: Cell::new(false),
        }))
    }

    /// Whether it could not be reached a moment ago.
    pub(super) fn is_avoided(&self) -> bool {
        self.avoid_until.get().is_some_and(|until| Instant::now() < until)
    }

    /// Requests that are on their way to it, or being answered.
    pub(super) fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// An idle connection that is still open, the one used last: its peer is least likely to be closing it.
    pub(super) fn idle(self: &Rc<Self>) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { sender, slot, since }) = idle.pop() {
            if since.elapsed() >= self.settings.timeouts.idle {
                // Those below have been idle for longer still.
                idle.clear();
                return None;
            }
            if let Some(slot) = slot.upgrade().filter(|_| sender.is_ready()) {
                return Some(Lease { sender, slot, reused: true, use_of: Use::new(self) });
            }
        }
        None
    }

    /// A new connection.
    pub(super) async fn dial(self: &Rc<Self>) -> Result<Lease, Denial> {
        if self.open.get() >= self.settings.max_connections {
            let detail = format!("{self}: all {} connections are in use", self.settings.max_connections);
            return Err(Denial::because(Reason::UpstreamBusy, detail).retry_after(Duration::from_secs(1)));
        }
        let use_of = Use::new(self);
        self.open.set(self.open.get() + 1);
        let slot = Rc::new(Slot { pool: self.clone(), heard: Arc::default() });
        match connect(&self.endpoint, self.tls.as_ref(), self.settings.timeouts.connect, slot.clone()).await {
            Ok(sender) => {
                self.avoid_until.set(None);
                Ok(Lease { sender, slot, reused: false, use_of })
            }
            Err(error) => {
                self.avoid_until.set(Some(Instant::now() + AVOID));
                let reason = match error {
                    ConnectError::TimedOut(_) => Reason::UpstreamTimeout,
                    ConnectError::Tcp(_) | ConnectError::Tls(_) | ConnectError::Http(_) => Reason::UpstreamUnreachable,
                };
                Err(Denial::because(reason, format!("{self}: {error}")))
            }
        }
    }

    /// Closes what is idle and keeps nothing more.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        self.idle.borrow_mut().clear();
    }

    /// Closes what has been idle for too long, now and then, for as long as anything is idle.
    fn sweep(self: &Rc<Self>) {
        if self.sweeping.replace(true) {
            return;
        }
        let limit = self.settings.timeouts.idle;
        let every = (limit / 2).max(Duration::from_millis(100));
        let pool = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(pool) = pool.upgrade() else { return };
                let mut idle = pool.idle.borrow_mut();
                idle.retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < limit);
                if idle.is_empty() {
                    idle.shrink_to_fit();
                    pool.sweeping.set(false);
                    return;
                }
            }
        });
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.open.get(), self.idle.borrow().len())
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.endpoint.fmt(f)
    }
}
