//! Accepting connections on one worker, and waiting for them to end.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::HandshakeKind;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use super::certified::Chain;
use super::drain::{Census, Counted, Drain, Farewell, Roster};
use super::http::{self, Company, Protocol, Ready};
use super::listener::{Acceptor, Listener, Terms};
use super::overload::Overload;
use super::progress::Progress;
use super::proxy_protocol::{self, Source};
use super::quiet::Quiet;
use super::socket::{Socket, Transport};
use super::tls::{self, CertificateReason, Presented, Refusal, Tls};
use super::{Connection, Handler};
use crate::model::Timestamp;

/// TLS handshakes that one worker is in at a time; more wait, within their timeout.
const HANDSHAKES: usize = 1024;

/// After an error of `accept` that is ours (no file descriptors, say): trying again at once would only spin.
const PAUSE: Duration = Duration::from_millis(50);

/// What connections are counted under whose proxy in front does not say whose they are.
const PROXY_PROTOCOL: &str = "proxy_protocol";

/// How long a client that has nothing to say is waited for that could be told only with its next answer that this was the
/// last one.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long, once draining has begun, a client that has connected may take to say what it speaks.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves these listeners on the current thread (a `LocalSet`) until drained and the last connection has ended.
/// `shed_above`: how much CPU time of this thread may be waited for before requests are refused; `None`: they never are.
pub async fn serve<H: Handler>(
    listeners: Vec<Arc<Listener>>,
    handler: Rc<H>,
    drain: Drain,
    shed_above: Option<Duration>,
) {
    let server = Server::new(handler, &drain, shed_above);
    listeners.into_iter().for_each(|listener| server.open(listener));
    server.run().await;
}

/// Accepts and serves on one thread, within its `LocalSet`.
pub struct Server<H>(Rc<Worker<H>>);

impl<H: Handler> Server<H> {
    /// Without a listener. It ends once `drain` has begun. `shed_above`: as for [`serve`].
    pub fn new(handler: Rc<H>, drain: &Drain, shed_above: Option<Duration>) -> Self {
        Self(Rc::new(Worker {
            handler,
            overload: Overload::new(shed_above),
            census: Arc::default(),
            handshakes: Semaphore::new(HANDSHAKES),
            drain: drain.child(),
            loops: RefCell::default(),
            full: Quiet::default(),
            failures: Quiet::default(),
            relays: Quiet::default(),
            uncertified: Quiet::default(),
        }))
    }

    /// Begins to accept what comes there.
    pub fn open(&self, listener: Arc<Listener>) {
        let worker = Rc::clone(&self.0);
        let accepting = tokio::task::spawn_local(async move { worker.accept_all(&listener).await });
        let mut loops = self.0.loops.borrow_mut();
        loops.retain(|accepting| !accepting.is_finished());
        loops.push(accepting);
    }

    /// Waits until it has been drained and the last connection has ended.
    pub async fn run(&self) {
        let worker = &self.0;
        worker.drain.begun().await;
        loop {
            let Some(accepting) = worker.loops.borrow_mut().pop() else { break };
            // A loop that panicked has been reported by the panic hook; draining goes on without it.
            let _ = accepting.await;
        }
        worker.census.empty().await;
    }
}

/// What the connections of one core share.
struct Worker<H> {
    handler: Rc<H>,
    overload: Rc<Overload>,
    census: Arc<Census>,
    handshakes: Semaphore,
    /// A branch of the process's own, so that connections of different cores do not meet in one lock.
    drain: Drain,
    loops: RefCell<Vec<JoinHandle<()>>>,
    full: Quiet,
    failures: Quiet,
    relays: Quiet,
    uncertified: Quiet,
}

impl<H: Handler> Worker<H> {
    async fn accept_all(self: &Rc<Self>, listener: &Arc<Listener>) {
        let name = Arc::clone(&listener.settings().name);
        let acceptor = match listener.acceptor() {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(listener = %name, %error, "cannot register the listening socket with this worker");
                return;
            }
        };
        let mut partings = listener.partings();
        // Of the connections that were accepted under terms under which they may go on.
        let mut roster = Rc::<Roster>::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.drain.begun() => break,
                () = listener.retired().cancelled() => break,
                Ok(()) = partings.changed() => {
                    see_off(std::mem::take(&mut roster), Some(&self.drain));
                    continue;
                }
                accepted = acceptor.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(listener, &roster, socket, peer),
                Err(error) if is_clients(&error) => {}
                Err(error) => {
                    if self.failures.allow().is_some() {
                        tracing::error!(listener = %name, %error, "cannot accept");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        if listener.is_given_away() {
            // What waits in the queue is for whoever has the socket now.
            return see_off(roster, None);
        }
        // Clients whose connections the system has completed already were promised an answer.
        while let Some((socket, peer)) = listener.queued() {
            self.admit(listener, &roster, socket, peer);
        }
        listener.close();
        if self.drain.has_begun() {
            roster.drain(Farewell::Prompt);
        } else {
            see_off(roster, Some(&self.drain));
        }
    }

    /// Serves a connection in a task of its own: what panics there ends there.
    fn admit(self: &Rc<Self>, listener: &Arc<Listener>, roster: &Rc<Roster>, socket: Socket, peer: Option<SocketAddr>) {
        let terms = listener.terms();
        let Terms { settings, tls } = &*terms;
        let most = settings.limits.max_connections;
        let Some(counted) = Counted::new(listener.open_connections(), most, &self.census, listener.observer()) else {
            listener.observer().connection_refused("too_many_connections");
            if let Some(withheld) = self.full.allow() {
                tracing::warn!(listener = %settings.name, most, withheld, "connection closed: max_connections are open");
            }
            return;
        };
        if let Socket::Tcp(socket) = &socket {
            // An answer must not wait for the acknowledgement of the one before. Fails only on a dead socket.
            let _ = socket.set_nodelay(true);
        }
        let connection = Connection {
            listener: Arc::clone(settings),
            peer: peer.map(|peer| SocketAddr::new(peer.ip().to_canonical(), peer.port())),
            unnamed: false,
            tls: tls.is_some(),
            server_name: None,
            certificate: None,
        };
        let (worker, roster, tls) = (Rc::clone(self), Rc::clone(roster), tls.clone());
        let (listener, observer) = (Arc::clone(listener), Arc::clone(listener.observer()));
        tokio::task::spawn_local(async move {
            let ready = async {
                let (socket, connection) = relayed(socket, connection).await?;
                match tls {
                    Some(tls) => worker.handshake(&listener, &tls, socket, connection).await,
                    None => detect(socket, connection).await,
                }
            };
            let ready = tokio::select! {
                biased;
                ready = ready => ready,
                () = worker.given_up() => return,
            };
            match ready {
                Ok((ready, chain)) => {
                    let progress = Progress::new(ready.protocol == Protocol::Http1);
                    let enrolled = chain.map(|Shown { chain, verified }| {
                        let enrolled = listener.certified().enter(&progress, Arc::clone(&chain));
                        // Entered first: what verifies it may have changed since the handshake.
                        let is_verified = verified.is_some_and(|(tls, then)| listener.still_goes_by(&tls, then));
                        if !is_verified && !listener.still_accepts(&chain) {
                            progress.cut();
                        }
                        enrolled
                    });
                    let company = Company { roster, overload: Rc::clone(&worker.overload), progress };
                    http::serve(ready, Rc::clone(&worker.handler), company, (counted, enrolled)).await;
                }
                Err(Unready { connection, why, label, refusal }) => {
                    observer.connection_refused(label);
                    let (listener, peer) = (&connection.listener.name, connection.peer);
                    if let Some(refusal) = refusal {
                        if let Some(withheld) = worker.uncertified.allow() {
                            report(listener, peer, &refusal, withheld);
                        }
                    } else if label == PROXY_PROTOCOL {
                        // Not the mistake of any client: the proxy in front and the settings do not fit together.
                        if let Some(withheld) = worker.relays.allow() {
                            tracing::warn!(%listener, ?peer, %why, withheld, "connection refused");
                        }
                    } else if let Some(withheld) = worker.failures.allow() {
                        tracing::debug!(%listener, ?peer, %why, withheld, "connection refused");
                    }
                }
            }
        });
    }

    /// Waits until those who have not said anything yet can no longer be waited for.
    async fn given_up(&self) {
        self.drain.begun().await;
        tokio::time::sleep(LAST_WORDS).await;
    }

    async fn handshake(
        &self,
        listener: &Listener,
        tls: &Arc<Tls>,
        socket: Socket,
        mut connection: Connection,
    ) -> Result<(Ready, Option<Shown>), Unready> {
        let (limit, begun) = (connection.listener.limits.handshake_timeout, listener.now());
        let accept = async {
            let _turn = self.handshakes.acquire().await;
            tls::explained(async {
                // The whole hello is waited for, in however many pieces it comes: its name decides what is asked.
                let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await?;
                let server = tls.server(hello.client_hello().server_name());
                hello.into_stream(server).await
            })
            .await
        };
        let stream = match timeout(limit, accept).await {
            Ok(Ok(stream)) => stream,
            Ok(Err((_, Some(refusal)))) => return Err(Unready::uncertified(connection, refusal)),
            Ok(Err((error, None))) => return Err(Unready::new(connection, error.to_string(), "tls_handshake")),
            Err(_) => return Err(Unready::new(connection, "handshake_timeout passed".to_owned(), "tls_timeout")),
        };
        let (_, session) = stream.get_ref();
        connection.server_name = session.server_name().map(Arc::from);
        let protocol = if session.alpn_protocol() == Some(tls::HTTP2) { Protocol::Http2 } else { Protocol::Http1 };
        let mut chain = None;
        if let Some(certificates @ [_, ..]) = session.peer_certificates() {
            match tls::client_certificate(certificates, tls.shown(session.server_name())) {
                Some(certificate) => {
                    let certificate = Arc::new(certificate);
                    connection.certificate = Some(Arc::clone(&certificate));
                    let name = connection.server_name.clone();
                    let ends: Vec<_> = certificates.iter().filter_map(|der| tls::end(der)).collect();
                    // A session that is resumed brings the chain of back then, verified by these very terms, as only they
                    // can read its ticket: all that can have changed since is the time.
                    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
                    let verified = !resumed
                        || (ends.len() == certificates.len() && tls.nothing_has_ended(name.as_deref(), &ends, begun));
                    chain = Some(Shown {
                        chain: Arc::new(Chain { ends, certificate, name }),
                        verified: verified.then(|| (Arc::clone(tls), begun)),
                    });
                }
                // The verifier has read it, too.
                None => {
                    let refusal = Refusal { reason: CertificateReason::BadName, certificate: None };
                    return Err(Unready::uncertified(connection, refusal));
                }
            }
        }
        Ok((Ready { protocol, io: Transport::Tls(Box::new(stream)), read: BytesMut::new(), connection }, chain))
    }
}

/// Asks connections to finish, and waits for those that have nothing to say, but not once `drain` has begun.
fn see_off(roster: Rc<Roster>, drain: Option<&Drain>) {
    roster.drain(Farewell::Patient);
    let drain = drain.cloned();
    tokio::task::spawn_local(async move {
        let draining = async {
            match &drain {
                Some(drain) => drain.begun().await,
                None => std::future::pending().await,
            }
        };
        // Its end is no error here.
        let _ = tokio::time::timeout(PATIENCE, draining).await;
        roster.drain(Farewell::Prompt);
    });
}

/// A client's certificates.
struct Shown {
    chain: Arc<Chain>,
    /// What has verified them in this handshake, and when it began; `None` where nothing has.
    verified: Option<(Arc<Tls>, Timestamp)>,
}

/// A connection that is closed before its first request.
struct Unready {
    connection: Connection,
    why: String,
    label: &'static str,
    /// Where its client certificate is why.
    refusal: Option<Refusal>,
}

impl Unready {
    fn new(connection: Connection, why: String, label: &'static str) -> Self {
        Self { connection, why, label, refusal: None }
    }

    fn uncertified(connection: Connection, refusal: Refusal) -> Self {
        let (why, label) = (refusal.reason.to_string(), refusal.reason.label());
        Self { connection, why, label, refusal: Some(refusal) }
    }
}

/// A client certificate that is refused is a fault of clients or of the settings: in either case somebody looks for it.
fn report(listener: &str, peer: Option<SocketAddr>, Refusal { reason, certificate }: &Refusal, withheld: u64) {
    let (why, reason) = (reason, reason.name());
    let Some(Presented { subject, issuer, serial, fingerprint }) = certificate else {
        return tracing::info!(%listener, ?peer, reason, %why, withheld, "client certificate refused");
    };
    tracing::warn!(
        %listener, ?peer, reason, %subject, %issuer, %serial, %fingerprint, %why, withheld, "client certificate refused"
    );
}

/// Where the listener wants it, what a proxy that it trusts says of whose connection this is.
async fn relayed(mut socket: Socket, mut connection: Connection) -> Result<(Socket, Connection), Unready> {
    let Some(limit) = connection.listener.proxy_protocol else { return Ok((socket, connection)) };
    if !connection.has_trusted_peer() {
        let why = "proxy_protocol: its peer is not in trusted_proxies".to_owned();
        return Err(Unready::new(connection, why, PROXY_PROTOCOL));
    }
    match timeout(limit, proxy_protocol::read(&mut socket)).await {
        Ok(Ok(Source::Client(client))) => connection.peer = Some(client),
        Ok(Ok(Source::Unknown)) => connection.unnamed = true,
        Ok(Err(error)) => return Err(Unready::new(connection, error.to_string(), PROXY_PROTOCOL)),
        Err(_) => {
            let why = "timeouts.proxy_protocol passed".to_owned();
            return Err(Unready::new(connection, why, PROXY_PROTOCOL));
        }
    }
    Ok((socket, connection))
}

/// In clear text: HTTP/1, or HTTP/2 by prior knowledge (RFC 9113, section 3.3).
async fn detect(mut socket: Socket, connection: Connection) -> Result<(Ready, Option<Shown>), Unready> {
    match timeout(connection.listener.limits.header_timeout, http::sniff(&mut socket)).await {
        Ok(Ok((protocol, read))) => Ok((Ready { protocol, io: Transport::Clear(socket), read, connection }, None)),
        Ok(Err(error)) => Err(Unready::new(connection, error.to_string(), "no_request")),
        Err(_) => Err(Unready::new(connection, "header_timeout passed".to_owned(), "no_request")),
    }
}

impl Acceptor {
    async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(socket, peer)| (Socket::Tcp(socket), Some(peer))),
            Self::Unix(listener) => listener.accept().await.map(|(socket, _)| (Socket::Unix(socket), None)),
        }
    }
}

/// Errors of `accept` that are about the one connection, which the client has given up already.
fn is_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
