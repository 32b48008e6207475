//! A listener: its socket, and the terms under which connections are served, which a reload changes.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::bind::Bound;
use super::certified::{Certified, Chain};
use super::socket::Socket;
use super::tls::Tls;
use crate::model::settings::{Bind, ListenerSettings};
use crate::model::{Clock, Observer, Timestamp};

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("listener.{listener}: {problem}")]
pub struct ListenError {
    /// Its name.
    pub listener: Arc<str>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A listener that is open; workers share its socket.
pub struct Listener {
    terms: ArcSwap<Terms>,
    socket: Bound,
    /// Connections of all workers.
    open: Arc<AtomicUsize>,
    certified: Arc<Certified>,
    /// When client certificates were last looked at.
    looked_at: AtomicU64,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    retired: CancellationToken,
    /// Counts the times at which connections were asked to finish because of new terms.
    partings: watch::Sender<u64>,
    /// Whether the socket goes on in other hands.
    given_away: AtomicBool,
}

/// What connections are served under. They keep the TLS, timeouts and caps of when they began; the rest is for the handler
/// to look up for each request.
pub struct Terms {
    pub(super) settings: Arc<ListenerSettings>,
    pub(super) tls: Option<Arc<Tls>>,
}

/// One worker's handle of a listening socket, registered with that worker's runtime.
pub(super) enum Acceptor {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Terms {
    fn load(
        settings: Arc<ListenerSettings>,
        clock: &Arc<dyn Clock>,
        known: Option<&Arc<Tls>>,
    ) -> Result<Self, ListenError> {
        let tls = settings.tls.as_ref().map(|tls| Tls::load(tls, clock, known)).transpose();
        match tls {
            Ok(tls) => Ok(Self { settings, tls }),
            Err(problem) => Err(ListenError { listener: Arc::clone(&settings.name), problem }),
        }
    }

    /// Whether a connection of these terms may go on under those: not where it is in clear that must be TLS now, or where
    /// a proxy has named its client that would not be believed any more.
    fn may_go_on_under(&self, new: &Self) -> bool {
        let (old, new_settings) = (&self.settings, &new.settings);
        let relayed = old.proxy_protocol.is_some();
        self.tls.is_some() == new.tls.is_some()
            && relayed == new_settings.proxy_protocol.is_some()
            && (!relayed
                || (old.trusted_proxies == new_settings.trusted_proxies && old.trust_unix == new_settings.trust_unix))
            && !new.tls.as_ref().zip(self.tls.as_ref()).is_some_and(|(new, old)| new.demands_more_than(old))
    }
}

impl Listener {
    /// Reads certificates, and opens nothing.
    pub fn check(settings: &Arc<ListenerSettings>, clock: &Arc<dyn Clock>) -> Result<(), ListenError> {
        Terms::load(Arc::clone(settings), clock, None).map(drop)
    }

    /// Reads certificates and opens the socket. An occupied port, an unreadable or mismatched certificate or an empty CA
    /// bundle is an error that says so.
    pub fn open(
        settings: Arc<ListenerSettings>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ListenError> {
        Self::open_with(settings, None, clock, observer)
    }

    /// The same on a socket that listens there already, where there is one.
    pub fn open_with(
        settings: Arc<ListenerSettings>,
        socket: Option<OwnedFd>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ListenError> {
        let failed = |problem: String| ListenError { listener: Arc::clone(&settings.name), problem };
        // Certificates first: what cannot be served must not occupy a port.
        let terms = Terms::load(Arc::clone(&settings), &clock, None)?;
        let socket = match socket {
            Some(socket) => Bound::adopt(&settings.bind, socket),
            None => Bound::open(&settings.bind),
        };
        Ok(Self {
            socket: socket.map_err(failed)?,
            terms: ArcSwap::from_pointee(terms),
            open: Arc::new(AtomicUsize::new(0)),
            certified: Arc::default(),
            looked_at: AtomicU64::new(clock.now().0),
            clock,
            observer,
            retired: CancellationToken::new(),
            partings: watch::Sender::new(0),
            given_away: AtomicBool::new(false),
        })
    }

    /// Reads what [`Listener::renew`] puts in force. Certificates that have not changed stay as they are, so that sessions
    /// are resumed.
    pub fn prepare(&self, settings: Arc<ListenerSettings>) -> Result<Terms, ListenError> {
        Terms::load(settings, &self.clock, self.terms.load().tls.as_ref())
    }

    /// New connections are served under these terms. Those that are open go on, but for clients whose certificates would
    /// not be accepted any more, which are cut off, and those that could not have come about like this, which finish.
    pub fn renew(&self, terms: Terms) {
        let new = Arc::new(terms);
        let old = self.terms.swap(Arc::clone(&new));
        if !old.may_go_on_under(&new) {
            self.partings.send_modify(|count| *count += 1);
        }
        let same = match (&old.tls, &new.tls) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            _ => false,
        };
        if !same {
            self.cut_off(|_| true);
        }
    }

    /// Verifies client certificates again, where since the last look one of their chain has ended, or a revocation list
    /// that says whether they count. To be called every now and then.
    pub fn look_again(&self) {
        let now = self.clock.now();
        let last = Timestamp(self.looked_at.swap(now.0, Ordering::AcqRel));
        let ended = |end: &Timestamp| last < *end && *end <= now;
        let lists = self.terms.load().tls.as_ref().is_some_and(|tls| tls.list_ends().iter().any(ended));
        self.cut_off(|chain| lists || chain.ends.iter().any(ended));
    }

    fn cut_off(&self, due: impl Fn(&Chain) -> bool) {
        let cut = self.certified.cut_unless(due, |chain| self.still_accepts(chain));
        if cut > 0 {
            let listener = &self.settings().name;
            tracing::warn!(%listener, cut, "connections cut off whose client certificates are not accepted any more");
        }
    }

    /// Whether a client with this chain would be let in now.
    pub(super) fn still_accepts(&self, chain: &Chain) -> bool {
        let (name, now) = (chain.name.as_deref(), self.clock.now());
        let accepts = |tls: &Arc<Tls>| tls.still_accepts(name, &chain.certificate.chain, now);
        self.terms.load().tls.as_ref().is_some_and(accepts)
    }

    /// Whether what was verified by these since `then` need not be verified again: they are in force, and nobody has
    /// looked since at what has ended.
    pub(super) fn still_goes_by(&self, tls: &Arc<Tls>, then: Timestamp) -> bool {
        let is_current = self.terms.load().tls.as_ref().is_some_and(|current| Arc::ptr_eq(current, tls));
        is_current && self.looked_at.load(Ordering::Acquire) < then.0
    }

    /// Now.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where it listens, the port that the system chose filled in; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Bound::Tcp { address, .. } => Some(*address),
            Bound::Unix { .. } => None,
        }
    }

    /// Its settings now.
    pub fn settings(&self) -> Arc<ListenerSettings> {
        Arc::clone(&self.terms.load().settings)
    }

    /// How many connections it has now, all workers together.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Accepts no more; its connections finish.
    pub fn retire(&self) {
        self.retired.cancel();
    }

    /// Another handle of its socket, for whoever is to accept in its place.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.socket.descriptor()
    }

    /// From now on the socket is somebody else's: it stays open when this listener is closed.
    pub fn give_away(&self) {
        self.given_away.store(true, Ordering::Release);
    }

    /// The socket is this one's after all.
    pub fn keep(&self) {
        self.given_away.store(false, Ordering::Release);
    }

    pub(super) fn is_given_away(&self) -> bool {
        self.given_away.load(Ordering::Acquire)
    }

    pub(super) fn terms(&self) -> Arc<Terms> {
        self.terms.load_full()
    }

    pub(super) fn certified(&self) -> &Arc<Certified> {
        &self.certified
    }

    pub(super) fn retired(&self) -> &CancellationToken {
        &self.retired
    }

    pub(super) fn partings(&self) -> watch::Receiver<u64> {
        self.partings.subscribe()
    }

    pub(super) fn open_connections(&self) -> &Arc<AtomicUsize> {
        &self.open
    }

    pub(super) fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// This worker's handle. Must be called inside its runtime.
    pub(super) fn acceptor(&self) -> io::Result<Acceptor> {
        Ok(match &self.socket {
            Bound::Tcp { socket, .. } => Acceptor::Tcp(tokio::net::TcpListener::from_std(socket.try_clone()?)?),
            Bound::Unix { socket, .. } => Acceptor::Unix(tokio::net::UnixListener::from_std(socket.try_clone()?)?),
        })
    }

    /// A connection that waits to be accepted, if there is one. Asks the system itself: a runtime that has not had a turn
    /// since the client came does not know of it. Must be called inside a runtime.
    pub(super) fn queued(&self) -> Option<(Socket, Option<SocketAddr>)> {
        match &self.socket {
            Bound::Tcp { socket, .. } => {
                let (stream, peer) = socket.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some((Socket::Tcp(tokio::net::TcpStream::from_std(stream).ok()?), Some(peer)))
            }
            Bound::Unix { socket, .. } => {
                let (stream, _) = socket.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some((Socket::Unix(tokio::net::UnixStream::from_std(stream).ok()?), None))
            }
        }
    }

    /// Stops listening, for all workers at once, unless others go on with it.
    pub(super) fn close(&self) {
        if !self.is_given_away() {
            self.socket.close();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ListenerSettings { name, bind, .. } = &*self.settings();
        f.debug_struct("Listener").field("name", name).field("bind", bind as &Bind).finish()
    }
}
