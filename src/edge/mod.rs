//! Where clients connect: listeners, TLS, connections, the client's address, drain.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;

use crate::model::settings::{HttpLimits, ListenerSettings};
use crate::model::{Client, ClientCertificate, Clock, Observer};

/// One client connection.
#[derive(Debug)]
pub struct Connection {
    /// The listener that accepted it.
    pub listener: Arc<ListenerSettings>,
    /// The socket's peer; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Whether it is TLS.
    pub tls: bool,
    /// The name that the client asked for (SNI).
    pub server_name: Option<Arc<str>>,
    /// The verified client certificate.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Connection {
    /// Who the client is for this request: the peer, or whom a trusted peer vouches for. Headers that cannot be read
    /// never make an address: the peer's own counts then.
    pub fn client(&self, headers: &HeaderMap) -> Client {
        let _ = headers;
        todo!()
    }
}

/// Answers requests. Futures stay on the connection's core, so they need not be `Send`.
pub trait Handler: 'static {
    /// The answer's body.
    type Body: http_body::Body<Data = Bytes, Error = Box<dyn std::error::Error + Send + Sync>> + 'static;

    /// Answers one request. What the edge itself refuses (framing that can be read in two ways) arrives here too, as
    /// [`Refused`] in the request's extensions, so that there is one place that writes denials.
    fn handle(
        &self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = Response<Self::Body>>;
}

/// In a request's extensions: the edge refuses this request for this reason.
#[derive(Debug, Clone, Copy)]
pub struct Refused(pub crate::model::denial::Reason);

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
pub struct Listener {}

impl Listener {
    /// Reads certificates and opens the socket. An occupied port, an unreadable or mismatched certificate or an empty CA
    /// bundle is an error that says so.
    pub fn open(
        settings: Arc<ListenerSettings>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ListenError> {
        let _ = (settings, clock, observer);
        todo!()
    }
    /// Where it listens, the port that the system chose filled in; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        todo!()
    }
    /// Its settings.
    pub fn settings(&self) -> &Arc<ListenerSettings> {
        todo!()
    }
}

/// Tells connections to finish. Cloned to every worker.
#[derive(Clone)]
pub struct Drain {}

impl Drain {
    /// Not draining.
    pub fn new() -> Self {
        todo!()
    }
    /// Stop accepting; ask connections to end after the request in flight (`Connection: close`, GOAWAY).
    pub fn begin(&self) {
        todo!()
    }
    /// Waits until draining begins.
    pub async fn begun(&self) {
        todo!()
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

/// Accepts and serves on the current thread (a `LocalSet`) until drained and the last connection has ended.
pub async fn serve<H: Handler>(listeners: Arc<Vec<Listener>>, handler: std::rc::Rc<H>, drain: Drain) {
    let _ = (listeners, handler, drain);
    todo!()
}

/// Defaults of the caps, for messages.
pub fn default_limits() -> HttpLimits {
    HttpLimits::default()
}
