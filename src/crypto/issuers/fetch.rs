//! One HTTP GET for keys: no redirect is followed, no answer beyond [`LARGEST`] is read, and no address is connected to
//! that the target does not allow.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::target::Target;

/// The largest key file or answer, in bytes.
pub(super) const LARGEST: usize = 256 * 1024;

/// The body of a 200.
pub(super) async fn get(target: &Target, tls: &Arc<ClientConfig>) -> Result<Bytes, String> {
    let tcp = connect(target).await.map_err(|e| format!("`{}`: {e}", target.as_str()))?;
    let answer = if target.is_https() {
        let name = ServerName::try_from(target.host().to_owned());
        let name = name.map_err(|e| format!("`{}`: {e}", target.as_str()))?;
        match TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await {
            Ok(stream) => exchange(target, stream).await,
            Err(e) => Err(format!("TLS: {e}")),
        }
    } else {
        exchange(target, tcp).await
    };
    answer.map_err(|e| format!("`{}`: {e}", target.as_str()))
}

async fn connect(target: &Target) -> Result<TcpStream, String> {
    let port = target.port();
    let addresses: Vec<SocketAddr> = match target.literal() {
        Some(ip) => vec![(ip, port).into()],
        None => lookup_host((target.host(), port)).await.map_err(|e| e.to_string())?.collect(),
    };
    let mut problem = "resolves to no address that keys are fetched from".to_owned();
    for address in addresses.into_iter().filter(|a| target.may_connect(a.ip())) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(e) => problem = format!("{address}: {e}"),
        }
    }
    Err(problem)
}

async fn exchange(
    target: &Target,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Bytes, String> {
    let request = Request::get(target.path_and_query())
        .header(header::HOST, target.authority())
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::USER_AGENT, "portcullis")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // Goes with this fetch, however it ends.
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(format!("answered {status}; redirects are not followed")),
        status => return Err(format!("answered {status}")),
    }
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    body.map(|b| b.to_bytes())
        .map_err(|e| format!("the answer broke off or is larger than {} KiB: {e}", LARGEST / 1024))
}
