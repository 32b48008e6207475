//! The connections of one worker to one endpoint.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::connect::{ConnectError, Connection, How, connect};
use super::ear::Heard;
use super::request::RequestBody;
use super::shared::Shared;
use super::tls::EndpointTls;
use super::traffic::Traffic;
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{Endpoint, HttpVersion, Scheme, UpstreamSettings};

/// For how long an endpoint that could not be reached is tried after the others.
const AVOID: Duration = Duration::from_secs(1);

/// Connections to one endpoint: those in use are counted, those at rest are kept, the last used on top.
pub(super) struct Pool {
    pub(super) endpoint: Endpoint,
    /// What `Host` says to it, where it is told its own name.
    pub(super) authority: HeaderValue,
    settings: Arc<UpstreamSettings>,
    traffic: Rc<Traffic>,
    tls: Option<EndpointTls>,
    idle: RefCell<Vec<Idle>>,
    shared: Shared,
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
    /// Whether the upstream sends anything.
    pub(super) heard: Heard,
    /// Requests under way, where a connection carries several.
    streams: Cell<usize>,
    /// When the last of them was over.
    idle_since: Cell<Instant>,
    /// Whether a request has been answered on it.
    answered: Cell<bool>,
    /// Whether it is to carry no more requests.
    closing: Cell<bool>,
}

impl Slot {
    fn new(pool: &Rc<Pool>) -> Rc<Self> {
        pool.open.set(pool.open.get() + 1);
        pool.traffic.connection_began();
        Rc::new(Self {
            pool: pool.clone(),
            heard: Heard::default(),
            streams: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            answered: Cell::new(false),
            closing: Cell::new(false),
        })
    }

    /// Requests under way, where it carries several.
    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// How long it has carried nothing, where it carries several; `None` while it does.
    pub(super) fn rest(&self) -> Option<Duration> {
        (self.streams.get() == 0).then(|| self.idle_since.get().elapsed())
    }

    /// Who is at its other end.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A request has been answered on it.
    pub(super) fn answers(&self) {
        self.answered.set(true);
    }

    /// It carries no more requests than it does now.
    pub(super) fn close(&self) {
        self.closing.set(true);
    }

    /// Whether it carries no more requests.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.get()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.open.set(self.pool.open.get().saturating_sub(1));
        self.pool.traffic.connection_ended();
    }
}

/// A connection in somebody's hands, or a part of one that carries several requests. Dropped, it is closed, or its
/// stream is reset; [`Lease::give_back`] keeps it.
pub(super) struct Lease {
    pub(super) sender: Sender,
    pub(super) slot: Rc<Slot>,
    /// Whether it has carried a request before: over HTTP/2, one that was answered.
    pub(super) reused: bool,
    pub(super) use_of: Use,
}

/// What a request goes out with.
pub(super) enum Sender {
    Http1(SendRequest<RequestBody>),
    Http2(h2::client::SendRequest<Bytes>, Stream),
}

/// One of the streams of a connection, counted until this is dropped.
pub(super) struct Stream(Rc<Slot>);

impl Stream {
    pub(super) fn of(slot: &Rc<Slot>) -> Self {
        slot.streams.set(slot.streams.get() + 1);
        Self(slot.clone())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
        self.0.idle_since.set(Instant::now());
    }
}

/// A request to an endpoint, counted until this is dropped.
pub(super) struct Use(Rc<Pool>);

impl Use {
    fn new(pool: &Rc<Pool>) -> Self {
        pool.in_use.set(pool.in_use.get() + 1);
        pool.traffic.request_began();
        Self(pool.clone())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.in_use.set(self.0.in_use.get().saturating_sub(1));
        self.0.traffic.request_ended();
    }
}

/// What a request wants of its connection.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// HTTP/1.1: to switch protocols on it.
    pub(super) http1: bool,
    /// That nobody else's requests are on it: what it says may be taken to be said of the whole connection (f60).
    pub(super) alone: bool,
    /// That it has not rested: others that have may be closing just as one was.
    pub(super) fresh: bool,
    /// Whose it is.
    pub(super) client: SocketAddr,
}

impl Lease {
    /// Puts it on top of the idle ones, if the exchange is over on both sides. When it is not (an answer that came
    /// before the request's end), who comes next would wait for somebody else's client.
    pub(super) fn give_back(self) {
        let pool = &self.slot.pool;
        // A part of a connection is given back by being dropped.
        let Sender::Http1(sender) = self.sender else { return };
        if sender.is_ready() && !pool.retired.get() {
            let mut idle = pool.idle.borrow_mut();
            if idle.len() < pool.settings.max_idle {
                idle.push(Idle { sender, slot: Rc::downgrade(&self.slot), since: Instant::now() });
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
        traffic: Rc<Traffic>,
    ) -> Result<Rc<Self>, String> {
        let authority = HeaderValue::try_from(endpoint.authority())
            .map_err(|_| format!("`{}` cannot be a Host", endpoint.authority()))?;
        Ok(Rc::new(Self {
            shared: Shared::new(endpoint.scheme, settings.http),
            endpoint,
            authority,
            settings,
            traffic,
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

    /// Whether a connection of HTTP/1.1 is at rest, or may be opened.
    pub(super) fn has_room(&self) -> bool {
        self.open.get() < self.settings.max_connections || !self.idle.borrow().is_empty()
    }

    /// Requests that are on their way to it, or being answered.
    pub(super) fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// A connection for one request: one that is there, or a new one.
    pub(super) async fn lease(self: &Rc<Self>, wanted: Wanted) -> Result<Lease, Denial> {
        let http2_only = match self.endpoint.scheme {
            Scheme::H2c => true,
            Scheme::Https => self.settings.http == HttpVersion::Http2,
            Scheme::Http | Scheme::Unix => false,
        };
        if wanted.http1 && http2_only {
            let detail = format!("{self}: to switch protocols takes HTTP/1.1");
            return Err(Denial::because(Reason::UpstreamFailed, detail));
        }
        if let Some(lease) = self.kept(wanted) {
            return Ok(lease);
        }
        if wanted.http1 || wanted.alone || !self.shared.is_possible() {
            return self.dial(wanted).await;
        }
        // Many requests at once open one connection, not one each.
        let failures = self.shared.failures();
        let turn = self.shared.dialing.lock().await;
        if let Some(lease) = self.kept(wanted) {
            return Ok(lease);
        }
        if let Some(why) = self.shared.failed_since(failures) {
            return Err(why);
        }
        // What the first connection has shown to be HTTP/1.1 is not waited for.
        if !self.shared.is_possible() {
            drop(turn);
            return self.dial(wanted).await;
        }
        let dialed = self.dial(wanted).await;
        if let Err(why) = &dialed {
            self.shared.has_failed(why);
        }
        dialed
    }

    /// One that is there.
    fn kept(self: &Rc<Self>, wanted: Wanted) -> Option<Lease> {
        if !wanted.http1
            && !wanted.alone
            && let Some((sender, slot)) = self.shared.take()
        {
            let reused = slot.answered.get();
            let sender = Sender::Http2(sender, Stream::of(&slot));
            return Some(Lease { sender, slot, reused, use_of: Use::new(self) });
        }
        if wanted.fresh { None } else { self.idle() }
    }

    /// An idle connection that is still open, the one used last: its peer is least likely to be closing it.
    fn idle(self: &Rc<Self>) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { sender, slot, since }) = idle.pop() {
            if since.elapsed() >= self.settings.timeouts.idle {
                // Those below have been idle for longer still.
                idle.clear();
                return None;
            }
            if let Some(slot) = slot.upgrade().filter(|_| sender.is_ready()) {
                return Some(Lease { sender: Sender::Http1(sender), slot, reused: true, use_of: Use::new(self) });
            }
        }
        None
    }

    /// A new connection.
    async fn dial(self: &Rc<Self>, wanted: Wanted) -> Result<Lease, Denial> {
        if self.open.get() >= self.settings.max_connections {
            let detail = format!("{self}: all {} connections are in use", self.settings.max_connections);
            return Err(Denial::because(Reason::UpstreamBusy, detail).retry_after(Duration::from_secs(1)));
        }
        let use_of = Use::new(self);
        let slot = Slot::new(self);
        // What binds itself to a connection is at home in HTTP/1.1.
        let http1 = wanted.http1 || wanted.alone;
        let how = How {
            tls: self.tls.as_ref(),
            http1,
            timeouts: &self.settings.timeouts,
            proxy_protocol: self.settings.proxy_protocol.map(|version| (version, wanted.client)),
        };
        match connect(&self.endpoint, &how, slot.clone()).await {
            Ok(connection) => {
                self.avoid_until.set(None);
                let sender = match connection {
                    Connection::Http1(sender) => {
                        if !http1 {
                            self.shared.is_not();
                        }
                        Sender::Http1(sender)
                    }
                    Connection::Http2(sender) => {
                        let stream = Stream::of(&slot);
                        if !wanted.alone && !self.retired.get() {
                            self.shared.add(sender.clone(), &slot);
                            self.sweep();
                        }
                        Sender::Http2(sender, stream)
                    }
                };
                Ok(Lease { sender, slot, reused: false, use_of })
            }
            Err(error) => {
                self.avoid_until.set(Some(Instant::now() + AVOID));
                let reason = match error {
                    ConnectError::TimedOut(_) => Reason::UpstreamTimeout,
                    _ => Reason::UpstreamUnreachable,
                };
                Err(Denial::because(reason, format!("{self}: {error}")))
            }
        }
    }

    /// Closes what is idle and keeps nothing more.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        self.idle.borrow_mut().clear();
        self.shared.clear();
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
                pool.shared.close_idle(limit, pool.settings.max_idle);
                if idle.is_empty() && pool.shared.is_empty() {
                    idle.shrink_to_fit();
                    pool.sweeping.set(false);
                    return;
                }
            }
        });
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.open.get(), self.idle.borrow().len() + self.shared.idle())
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.endpoint.fmt(f)
    }
}
