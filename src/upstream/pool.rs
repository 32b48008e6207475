//! The connections of one worker to one endpoint.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::watch::Receiver;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::address::{Address, Addresses};
use super::connect::{ConnectError, Connection, How, connect};
use super::lease::{Lease, Sender, Wanted};
use super::no_lease::NoLease;
use super::request::RequestBody;
use super::shared::Shared;
use super::slot::{Slot, Stream, Use};
use super::surge::Surge;
use super::tls::EndpointTls;
use super::traffic::Traffic;
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{Endpoint, HttpVersion, Scheme, UpstreamSettings};

/// For how long an endpoint that could not be reached is tried after the others.
const AVOID: Duration = Duration::from_secs(1);
/// For how long more than `max_idle` connections may be idle: a surge may come again at once.
const SURGE: Duration = Duration::from_secs(5);

/// Connections to one endpoint: those in use are counted, those at rest are kept, the last used on top.
pub(super) struct Pool {
    pub(super) endpoint: Endpoint,
    /// What `Host` says to it, where it is told its own name.
    pub(super) authority: HeaderValue,
    settings: Arc<UpstreamSettings>,
    traffic: Rc<Traffic>,
    tls: Option<EndpointTls>,
    /// Those of its name, where they are looked up now and then.
    addresses: Addresses,
    /// Where they come from, until the first request.
    found: Cell<Option<Receiver<Arc<[SocketAddr]>>>>,
    following: Cell<Option<AbortHandle>>,
    idle: RefCell<Vec<Idle>>,
    shared: Shared,
    pub(super) surge: Surge,
    open: Cell<usize>,
    in_use: Cell<usize>,
    avoid_until: Cell<Option<Instant>>,
    sweeping: Cell<bool>,
    trimming: Cell<bool>,
    retired: Cell<bool>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    /// Weak, so that a connection that its peer closes stops counting at once.
    slot: Weak<Slot>,
    since: Instant,
}

impl Pool {
    /// `found`: the addresses of its name, where they are looked up now and then; otherwise each connection looks.
    pub(super) fn new(
        settings: Arc<UpstreamSettings>,
        endpoint: Endpoint,
        tls: Option<EndpointTls>,
        traffic: Rc<Traffic>,
        found: Option<Receiver<Arc<[SocketAddr]>>>,
    ) -> Result<Rc<Self>, String> {
        let authority = HeaderValue::try_from(endpoint.authority())
            .map_err(|_| format!("`{}` cannot be a Host", endpoint.authority()))?;
        Ok(Rc::new(Self {
            shared: Shared::new(endpoint.scheme, settings.http),
            surge: Surge::default(),
            endpoint,
            authority,
            settings,
            traffic,
            tls,
            addresses: Addresses::default(),
            found: Cell::new(found),
            following: Cell::default(),
            idle: RefCell::default(),
            open: Cell::new(0),
            in_use: Cell::new(0),
            avoid_until: Cell::new(None),
            sweeping: Cell::new(false),
            trimming: Cell::new(false),
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

    pub(super) fn connection_began(&self) {
        self.open.set(self.open.get() + 1);
        self.traffic.connection_began();
    }

    pub(super) fn connection_ended(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.traffic.connection_ended();
    }

    pub(super) fn request_began(&self) {
        self.in_use.set(self.in_use.get() + 1);
        self.traffic.request_began();
    }

    pub(super) fn request_ended(&self) {
        self.in_use.set(self.in_use.get().saturating_sub(1));
        self.traffic.request_ended();
    }

    /// A connection for one request: one that is there, or a new one.
    pub(super) async fn lease(self: &Rc<Self>, wanted: Wanted) -> Result<Lease, NoLease> {
        let http2_only = match self.endpoint.scheme {
            Scheme::H2c => true,
            Scheme::Https => self.settings.http == HttpVersion::Http2,
            Scheme::Http | Scheme::Unix => false,
        };
        if wanted.http1 && http2_only {
            let detail = format!("{self}: to switch protocols takes HTTP/1.1");
            return Err(Denial::because(Reason::UpstreamFailed, detail).into());
        }
        self.follow();
        let order = self.addresses.in_order();
        if let Some(lease) = self.kept(wanted, order.first()) {
            return Ok(lease);
        }
        if wanted.http1 || wanted.alone || !self.shared.is_possible() {
            return Ok(self.lease_in_surge(wanted, &order).await?);
        }
        // Many requests at once open one connection, not one each.
        let failures = self.shared.failures();
        let turn = self.shared.dialing.lock().await;
        if let Some(lease) = self.kept(wanted, order.first()) {
            return Ok(lease);
        }
        if let Some(why) = self.shared.failed_since(failures) {
            return Err(NoLease { why, told: true });
        }
        // What the first connection has shown to be HTTP/1.1 is not waited for.
        if !self.shared.is_possible() {
            drop(turn);
            return Ok(self.lease_in_surge(wanted, &order).await?);
        }
        let dialed = self.dial(wanted, &order).await;
        if let Err(why) = &dialed {
            self.shared.has_failed(why);
        }
        Ok(dialed?)
    }

    /// One that is there, to this address where one is named.
    pub(super) fn kept(self: &Rc<Self>, wanted: Wanted, to: Option<&Rc<Address>>) -> Option<Lease> {
        if !wanted.http1
            && !wanted.alone
            && let Some((sender, slot)) = self.shared.take(to)
        {
            let reused = slot.has_answered();
            let sender = Sender::Http2(sender, Stream::of(&slot));
            let use_of = Use::new(self, slot.address().as_ref());
            return Some(Lease { sender, slot, reused, use_of });
        }
        if wanted.fresh { None } else { self.idle(to) }
    }

    /// An idle connection that is still open, the one used last: its peer is least likely to be closing it.
    fn idle(self: &Rc<Self>, to: Option<&Rc<Address>>) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = match to {
                None => idle.len().checked_sub(1)?,
                Some(to) => idle.iter().rposition(|idle| idle.slot.upgrade().is_some_and(|slot| slot.is_to(to)))?,
            };
            let Idle { sender, slot, since } = idle.remove(at);
            if since.elapsed() >= self.settings.timeouts.idle {
                // Those below have been idle for longer still.
                idle.drain(..at);
                return None;
            }
            if let Some(slot) = slot.upgrade().filter(|slot| sender.is_ready() && !slot.is_closing()) {
                let use_of = Use::new(self, slot.address().as_ref());
                return Some(Lease { sender: Sender::Http1(sender), slot, reused: true, use_of });
            }
        }
    }

    /// A new connection, to the first address of these that can be reached.
    pub(super) async fn dial(self: &Rc<Self>, wanted: Wanted, order: &[Rc<Address>]) -> Result<Lease, Denial> {
        if self.open.get() >= self.settings.max_connections {
            // One to another address will do.
            if let Some(lease) = self.kept(wanted, None) {
                return Ok(lease);
            }
            let detail = format!("{self}: all {} connections are in use", self.settings.max_connections);
            return Err(Denial::because(Reason::UpstreamBusy, detail).retry_after(Duration::from_secs(1)));
        }
        let mut use_of = Use::new(self, order.first());
        let slot = Slot::new(self);
        // What binds itself to a connection is at home in HTTP/1.1.
        let http1 = wanted.http1 || wanted.alone;
        let how = How {
            tls: self.tls.as_ref(),
            http1,
            addresses: order,
            timeouts: &self.settings.timeouts,
            proxy_protocol: self.settings.proxy_protocol.map(|version| (version, wanted.client)),
        };
        match connect(&self.endpoint, &how, slot.clone()).await {
            Ok(connection) => {
                self.avoid_until.set(None);
                if let Some(address) = slot.address() {
                    address.is_reached();
                }
                use_of.goes_by(&slot);
                let sender = match connection {
                    Connection::Http1(sender) => {
                        if !http1 {
                            self.shared.is_not();
                        }
                        Sender::Http1(sender)
                    }
                    Connection::Http2(sender) => {
                        let stream = Stream::of(&slot);
                        if !wanted.alone && !self.retired.get() && self.serves(&slot) {
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
                if let Some(address) = slot.address() {
                    address.avoid();
                }
                let reason = match error {
                    ConnectError::TimedOut(_) => Reason::UpstreamTimeout,
                    _ => Reason::UpstreamUnreachable,
                };
                Err(Denial::because(reason, format!("{self}: {error}")))
            }
        }
    }

    /// Whether a connection goes where new requests may go.
    fn serves(&self, slot: &Slot) -> bool {
        slot.address().map_or_else(|| self.addresses.are_unknown(), |address| !address.is_gone())
    }

    /// Takes up the addresses of its name from the first request on, whenever there are others.
    fn follow(self: &Rc<Self>) {
        let Some(mut found) = self.found.take() else { return };
        self.take_up(&found.borrow_and_update());
        let pool = Rc::downgrade(self);
        let following = tokio::task::spawn_local(async move {
            while found.changed().await.is_ok() {
                let Some(pool) = pool.upgrade() else { return };
                pool.take_up(&found.borrow_and_update());
            }
        });
        self.following.set(Some(following.abort_handle()));
    }

    /// What is idle and goes elsewhere is closed; what carries requests, as they end.
    fn take_up(&self, found: &[SocketAddr]) {
        if found.is_empty() {
            return;
        }
        self.addresses.are(found);
        self.idle.borrow_mut().retain(|idle| idle.slot.upgrade().is_some_and(|slot| self.serves(&slot)));
        self.shared.retain(|slot| self.serves(slot));
    }

    /// Closes what is idle and keeps nothing more.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        if let Some(following) = self.following.take() {
            following.abort();
        }
        self.idle.borrow_mut().clear();
        self.shared.clear();
    }

    /// Puts a connection on top of the idle ones.
    pub(super) fn keep(self: &Rc<Self>, sender: SendRequest<RequestBody>, slot: &Rc<Slot>) {
        let keeps = self.settings.max_idle > 0 && !self.retired.get() && self.serves(slot);
        if keeps && sender.is_ready() {
            self.idle.borrow_mut().push(Idle { sender, slot: Rc::downgrade(slot), since: Instant::now() });
            self.surge.returned();
            self.sweep();
            self.trim();
        }
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

    /// Closes what is idle beyond `max_idle`, after a while: opening a connection for each request just when there are many
    /// would make more of them wait, and so need more connections still.
    fn trim(self: &Rc<Self>) {
        if self.idle.borrow().len() <= self.settings.max_idle || self.trimming.replace(true) {
            return;
        }
        let pool = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(SURGE).await;
            let Some(pool) = pool.upgrade() else { return };
            pool.trimming.set(false);
            let mut idle = pool.idle.borrow_mut();
            let beyond = idle.len().saturating_sub(pool.settings.max_idle);
            // Those that have been idle for longest.
            idle.drain(..beyond);
        });
    }

    /// Of the connections that may carry further requests.
    #[cfg(test)]
    pub(super) fn slots(&self) -> Vec<Rc<Slot>> {
        let idle = self.idle.borrow();
        idle.iter().filter_map(|idle| idle.slot.upgrade()).chain(self.shared.slots()).collect()
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
