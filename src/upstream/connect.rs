//! Opens one connection: name, TCP, TLS, HTTP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::address::{Address, reach};
use super::ear::Ear;
use super::http2;
use super::proxy_protocol;
use super::request::RequestBody;
use super::slot::Slot;
use super::tls::{EndpointTls, H2};
use super::verify::told;
use crate::model::settings::{Endpoint, ProxyProtocol, Scheme, UpstreamTimeouts};

/// Most bytes that are held of an answer between its two sockets: of a connection of HTTP/1.1, of a stream of HTTP/2.
pub(super) const BUFFER: usize = 128 * 1024;
/// Longest head of an answer, in bytes.
pub(super) const MAX_HEAD: u32 = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// Not within the connect timeout.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The name does not resolve, nobody listens, the network is gone, the socket is not there.
    #[error("{0}")]
    Tcp(io::Error),
    /// The certificate is not trusted, or it is no TLS.
    #[error("TLS: {}", told(.0))]
    Tls(io::Error),
    /// The certificate of a session that was resumed.
    #[error("TLS: the endpoint's certificate has expired since the session began that was resumed")]
    Expired,
    /// hyper would not start.
    #[error("{0}")]
    Http(hyper::Error),
    /// What it answers to the beginning of HTTP/2 is something else.
    #[error("HTTP/2: {0}")]
    Http2(h2::Error),
    /// It closes when it is spoken to in HTTP/2, or does not agree to it.
    #[error("it does not speak HTTP/2")]
    NotHttp2,
}

/// What a new connection carries requests with.
pub(super) enum Connection {
    Http1(http1::SendRequest<RequestBody>),
    Http2(h2::client::SendRequest<Bytes>),
}

/// What a new connection is to be like.
pub(super) struct How<'a> {
    pub(super) tls: Option<&'a EndpointTls>,
    /// HTTP/2 will not do.
    pub(super) http1: bool,
    /// Where it may go, where that is looked up apart.
    pub(super) addresses: &'a [Rc<Address>],
    pub(super) timeouts: &'a UpstreamTimeouts,
    /// Whose it is said to be.
    pub(super) proxy_protocol: Option<(ProxyProtocol, SocketAddr)>,
}

/// Connects, TLS included. The connection lives in a task of its own, which holds `slot` to its end.
pub(super) async fn connect(endpoint: &Endpoint, how: &How<'_>, slot: Rc<Slot>) -> Result<Connection, ConnectError> {
    let How { tls, http1, addresses, timeouts, proxy_protocol } = *how;
    let opening = async {
        if endpoint.scheme == Scheme::Unix {
            let mut stream = UnixStream::connect(&*endpoint.host).await.map_err(ConnectError::Tcp)?;
            introduce(&mut stream, proxy_protocol, None).await?;
            return start(stream, slot).await;
        }
        let tcp = if addresses.is_empty() {
            // Names are looked up each time: an endpoint that moves is followed. Literal addresses ask nobody.
            TcpStream::connect((&*endpoint.host, endpoint.port)).await
        } else {
            reach(addresses, timeouts.connect, &slot).await
        };
        let mut tcp = tcp.map_err(ConnectError::Tcp)?;
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let peer = tcp.peer_addr().ok();
        introduce(&mut tcp, proxy_protocol, peer).await?;
        match tls {
            None if endpoint.scheme == Scheme::H2c => {
                http2::start(tcp, slot, timeouts.ping).await.map(Connection::Http2)
            }
            None => start(tcp, slot).await,
            Some(tls) => {
                let (stream, left) = tls.connect(tcp, http1).await?;
                slot.lasts(left);
                if stream.get_ref().1.alpn_protocol() == Some(H2) {
                    http2::start(stream, slot, timeouts.ping).await.map(Connection::Http2)
                } else {
                    start(stream, slot).await
                }
            }
        }
    };
    tokio::time::timeout(timeouts.connect, opening).await.unwrap_or(Err(ConnectError::TimedOut(timeouts.connect)))
}

/// Says whose the connection is, before anything else. It goes to `peer`, or to nowhere that has an address.
async fn introduce<T: AsyncWrite + Unpin>(
    io: &mut T,
    client: Option<(ProxyProtocol, SocketAddr)>,
    peer: Option<SocketAddr>,
) -> Result<(), ConnectError> {
    let Some((version, client)) = client else { return Ok(()) };
    let nowhere = || SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let header = proxy_protocol::header(version, client, peer.unwrap_or_else(nowhere));
    io.write_all(&header).await.map_err(ConnectError::Tcp)
}

async fn start<T>(io: T, slot: Rc<Slot>) -> Result<Connection, ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // hyper reads 100 fields at most, unless it is told otherwise.
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .max_header_size(MAX_HEAD as usize)
        .handshake(TokioIo::new(Ear::new(io, slot.heard.clone())))
        .await
        .map_err(ConnectError::Http)?;
    tokio::task::spawn_local(async move {
        // What goes wrong here is told to whoever waits for an answer or reads its body.
        let _ = connection.with_upgrades().await;
        drop(slot);
    });
    Ok(Connection::Http1(sender))
}
