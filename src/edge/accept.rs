//! Accepting connections on one worker, and waiting for them to end.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::ServerConfig;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::drain::{Census, Counted, Drain, Roster};
use super::http::{self, Protocol, Ready};
use super::listener::{Acceptor, Listener};
use super::overload::Overload;
use super::proxy_protocol::{self, Source};
use super::quiet::Quiet;
use super::socket::{Socket, Transport};
use super::tls;
use super::{Connection, Handler};

/// TLS handshakes that one worker is in at a time; more wait, within their timeout.
const HANDSHAKES: usize = 1024;

/// After an error of `accept` that is ours (no file descriptors, say): trying again at once would only spin.
const PAUSE: Duration = Duration::from_millis(50);

/// What connections are counted under whose proxy in front does not say whose they are.
const PROXY_PROTOCOL: &str = "proxy_protocol";

/// How long, once draining has begun, a client that has connected may take to say what it speaks.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Accepts and serves on the current thread (a `LocalSet`) until drained and the last connection has ended. `shed_above`:
/// how much CPU time of this thread may be waited for before requests are refused; `None`: they never are.
pub async fn serve<H: Handler>(
    listeners: Arc<Vec<Listener>>,
    handler: Rc<H>,
    drain: Drain,
    shed_above: Option<Duration>,
) {
    let worker = Rc::new(Worker {
        handler,
        overload: Overload::new(shed_above),
        roster: Rc::default(),
        census: Arc::default(),
        handshakes: Semaphore::new(HANDSHAKES),
        drain: drain.child(),
        full: Quiet::default(),
        failures: Quiet::default(),
        relays: Quiet::default(),
    });
    let mut loops = Vec::new();
    for index in 0..listeners.len() {
        let (worker, listeners, drain) = (Rc::clone(&worker), Arc::clone(&listeners), drain.clone());
        loops.push(tokio::task::spawn_local(async move {
            if let Some(listener) = listeners.get(index) {
                worker.accept_all(listener, &drain).await;
            }
        }));
    }
    drain.begun().await;
    for accepting in loops {
        // A loop that panicked has been reported by the panic hook; draining goes on without it.
        let _ = accepting.await;
    }
    worker.roster.drain();
    worker.census.empty().await;
}

/// What the connections of one core share.
struct Worker<H> {
    handler: Rc<H>,
    overload: Rc<Overload>,
    roster: Rc<Roster>,
    census: Arc<Census>,
    handshakes: Semaphore,
    /// A branch of the process's own, so that connections of different cores do not meet in one lock.
    drain: Drain,
    full: Quiet,
    failures: Quiet,
    relays: Quiet,
}

impl<H: Handler> Worker<H> {
    async fn accept_all(self: &Rc<Self>, listener: &Listener, drain: &Drain) {
        let name = &listener.settings().name;
        let acceptor = match listener.acceptor() {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(listener = %name, %error, "cannot register the listening socket with this worker");
                return;
            }
        };
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.begun() => break,
                accepted = acceptor.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(listener, socket, peer),
                Err(error) if is_clients(&error) => {}
                Err(error) => {
                    if self.failures.allow().is_some() {
                        tracing::error!(listener = %name, %error, "cannot accept");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        // Clients whose connections the system has completed already were promised an answer.
        while let Some((socket, peer)) = listener.queued() {
            self.admit(listener, socket, peer);
        }
        listener.close();
    }

    /// Serves a connection in a task of its own: what panics there ends there.
    fn admit(self: &Rc<Self>, listener: &Listener, socket: Socket, peer: Option<SocketAddr>) {
        let settings = listener.settings();
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
            tls: listener.tls().is_some(),
            server_name: None,
            certificate: None,
        };
        let worker = Rc::clone(self);
        let (tls, observer) = (listener.tls().cloned(), Arc::clone(listener.observer()));
        tokio::task::spawn_local(async move {
            let ready = async {
                let (socket, connection) = relayed(socket, connection).await?;
                match tls {
                    Some(tls) => worker.handshake(&tls, socket, connection).await,
                    None => detect(socket, connection).await,
                }
            };
            let ready = tokio::select! {
                biased;
                ready = ready => ready,
                () = worker.given_up() => return,
            };
            match ready {
                Ok(ready) => {
                    let handler = Rc::clone(&worker.handler);
                    http::serve(ready, handler, &worker.roster, &worker.overload, counted).await;
                }
                Err(Unready { connection, why, label }) => {
                    observer.connection_refused(label);
                    let (listener, peer) = (&connection.listener.name, connection.peer);
                    if label == PROXY_PROTOCOL {
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
        tls: &Arc<ServerConfig>,
        socket: Socket,
        mut connection: Connection,
    ) -> Result<Ready, Unready> {
        let limit = connection.listener.limits.handshake_timeout;
        let accept = async {
            let _turn = self.handshakes.acquire().await;
            TlsAcceptor::from(Arc::clone(tls)).accept(socket).await
        };
        let stream = match timeout(limit, accept).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Unready::new(connection, error.to_string(), "tls_handshake")),
            Err(_) => return Err(Unready::new(connection, "handshake_timeout passed".to_owned(), "tls_timeout")),
        };
        let (_, session) = stream.get_ref();
        connection.server_name = session.server_name().map(Arc::from);
        let protocol = if session.alpn_protocol() == Some(tls::HTTP2) { Protocol::Http2 } else { Protocol::Http1 };
        if let Some(end) = session.peer_certificates().and_then(<[_]>::first) {
            match tls::client_certificate(end) {
                Some(certificate) => connection.certificate = Some(Arc::new(certificate)),
                None => {
                    let why = "a name in the client certificate holds control characters or cannot be read".to_owned();
                    return Err(Unready::new(connection, why, "client_certificate"));
                }
            }
        }
        Ok(Ready { protocol, io: Transport::Tls(Box::new(stream)), read: BytesMut::new(), connection })
    }
}

/// A connection that is closed before its first request.
struct Unready {
    connection: Connection,
    why: String,
    label: &'static str,
}

impl Unready {
    fn new(connection: Connection, why: String, label: &'static str) -> Self {
        Self { connection, why, label }
    }
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
async fn detect(mut socket: Socket, connection: Connection) -> Result<Ready, Unready> {
    match timeout(connection.listener.limits.header_timeout, http::sniff(&mut socket)).await {
        Ok(Ok((protocol, read))) => Ok(Ready { protocol, io: Transport::Clear(socket), read, connection }),
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
