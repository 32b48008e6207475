//! One HTTP call, for keys or for what a token means: no redirect is followed, no answer beyond a limit is read, and no
//! address is connected to that the target does not allow.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
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
    let request = Request::get(target.path_and_query())
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .body(Full::default());
    let (status, body) = call(target, tls, request.map_err(|e| e.to_string())?, LARGEST).await?;
    match status {
        StatusCode::OK => Ok(body),
        status => Err(format!("`{}`: {}", target.as_str(), refusal(status))),
    }
}

/// In words, a status that is not 200.
pub(in crate::crypto) fn refusal(status: StatusCode) -> String {
    if status.is_redirection() {
        return format!("answered {status}; redirects are not followed");
    }
    format!("answered {status}")
}

/// What a form is answered: the status, and the body of a 200, of at most `largest` bytes. The problem of one that is
/// not answered says nothing of the form or `authorization`.
pub(in crate::crypto) async fn post(
    target: &Target,
    tls: &Arc<ClientConfig>,
    authorization: Option<&HeaderValue>,
    form: String,
    largest: usize,
) -> Result<(StatusCode, Bytes), String> {
    let mut request = Request::post(target.path_and_query())
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    call(target, tls, request.body(Full::from(form)).map_err(|e| e.to_string())?, largest).await
}

async fn call(
    target: &Target,
    tls: &Arc<ClientConfig>,
    request: Request<Full<Bytes>>,
    largest: usize,
) -> Result<(StatusCode, Bytes), String> {
    let tcp = connect(target).await.map_err(|e| format!("`{}`: {e}", target.as_str()))?;
    let answer = if target.is_https() {
        let name = ServerName::try_from(target.host().to_owned());
        let name = name.map_err(|e| format!("`{}`: {e}", target.as_str()))?;
        match TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await {
            Ok(stream) => exchange(target, stream, request, largest).await,
            Err(e) => Err(format!("TLS: {e}")),
        }
    } else {
        exchange(target, tcp, request, largest).await
    };
    answer.map_err(|e| format!("`{}`: {e}", target.as_str()))
}

async fn connect(target: &Target) -> Result<TcpStream, String> {
    let port = target.port();
    let addresses: Vec<SocketAddr> = match target.literal() {
        Some(ip) => vec![(ip, port).into()],
        None => lookup_host((target.host(), port)).await.map_err(|e| e.to_string())?.collect(),
    };
    let mut problem = "resolves to no address that may be asked".to_owned();
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
    mut request: Request<Full<Bytes>>,
    largest: usize,
) -> Result<(StatusCode, Bytes), String> {
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(target.authority()).map_err(|e| e.to_string())?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("portcullis"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // Goes with this fetch, however it ends.
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = response.status();
    if status != StatusCode::OK {
        return Ok((status, Bytes::new()));
    }
    let body = Limited::new(response.into_body(), largest).collect().await;
    body.map(|b| (status, b.to_bytes()))
        .map_err(|e| format!("the answer broke off or is larger than {} KiB: {e}", largest / 1024))
}
