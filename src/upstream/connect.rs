//! Opens one connection: name, TCP, TLS, HTTP.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::ear::Ear;
use super::pool::Slot;
use super::request::RequestBody;
use super::tls::EndpointTls;
use crate::model::settings::Endpoint;

/// Most bytes that are held of an answer between its two sockets, per connection.
const BUFFER: usize = 128 * 1024;
/// Longest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// Not within the connect timeout.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The name does not resolve, nobody listens, the network is gone.
    #[error("{0}")]
    Tcp(io::Error),
    /// The certificate is not trusted, or it is no TLS.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// hyper would not start.
    #[error("{0}")]
    Http(hyper::Error),
}

/// Connects within `limit`, TLS included. The connection lives in a task of its own, which holds `slot` to its end.
pub(super) async fn connect(
    endpoint: &Endpoint,
    tls: Option<&EndpointTls>,
    limit: Duration,
    slot: Rc<Slot>,
) -> Result<SendRequest<RequestBody>, ConnectError> {
    let opening = async {
        // Names are looked up each time: an endpoint that moves is followed. Literal addresses ask nobody.
        let tcp = TcpStream::connect((&*endpoint.host, endpoint.port)).await.map_err(ConnectError::Tcp)?;
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        match tls {
            None => start(tcp, slot).await,
            Some(tls) => {
                let stream = tls.connector.connect(tls.name.clone(), tcp).await.map_err(ConnectError::Tls)?;
                start(stream, slot).await
            }
        }
    };
    tokio::time::timeout(limit, opening).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
}

async fn start<T>(io: T, slot: Rc<Slot>) -> Result<SendRequest<RequestBody>, ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .max_header_size(MAX_HEAD)
        .handshake(TokioIo::new(Ear::new(io, slot.heard.clone())))
        .await
        .map_err(ConnectError::Http)?;
    tokio::task::spawn_local(async move {
        // What goes wrong here is told to whoever waits for an answer or reads its body.
        let _ = connection.with_upgrades().await;
        drop(slot);
    });
    Ok(sender)
}
