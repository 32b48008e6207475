//! One check: a connection of its own, a `GET`, and what the answer means.

use std::pin::pin;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::model::settings::{Endpoint, HealthCheck, ProxyProtocol, Scheme};
use crate::upstream::http2::translate;
use crate::upstream::proxy_protocol::own;
use crate::upstream::tls::{EndpointTls, H2};

/// Longest head of an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Most that is read of a body; an answer that is longer has said enough.
const MAX_BODY: usize = 64 * 1024;

/// Asks an endpoint how it is. What it sends is bounded, in time and in bytes.
pub(super) async fn check(
    endpoint: &Endpoint,
    tls: Option<&EndpointTls>,
    proxy_protocol: Option<ProxyProtocol>,
    how: &HealthCheck,
) -> Result<(), String> {
    let asked = tokio::time::timeout(how.timeout, reach(endpoint, tls, proxy_protocol, how)).await;
    let status = asked.unwrap_or_else(|_| Err(format!("no answer within {:?}", how.timeout)))?;
    if how.pass.contain(status) { Ok(()) } else { Err(format!("status {status}")) }
}

async fn reach(
    endpoint: &Endpoint,
    tls: Option<&EndpointTls>,
    proxy_protocol: Option<ProxyProtocol>,
    how: &HealthCheck,
) -> Result<u16, String> {
    let introduction = proxy_protocol.map(own).unwrap_or_default();
    let request = request(endpoint, how)?;
    if endpoint.scheme == Scheme::Unix {
        let mut stream = UnixStream::connect(&*endpoint.host).await.map_err(|error| error.to_string())?;
        stream.write_all(&introduction).await.map_err(|error| error.to_string())?;
        return ask(stream, request).await;
    }
    let mut tcp = TcpStream::connect((&*endpoint.host, endpoint.port)).await.map_err(|error| error.to_string())?;
    tcp.write_all(&introduction).await.map_err(|error| error.to_string())?;
    match tls {
        None if endpoint.scheme == Scheme::H2c => ask_http2(tcp, request, false).await,
        None => ask(tcp, request).await,
        Some(tls) => {
            let (stream, _) = tls.connect(tcp, true).await.map_err(|error| error.to_string())?;
            if stream.get_ref().1.alpn_protocol() == Some(H2) {
                ask_http2(stream, request, true).await
            } else {
                ask(stream, request).await
            }
        }
    }
}

fn request(endpoint: &Endpoint, how: &HealthCheck) -> Result<Request<Empty<Bytes>>, String> {
    let host = how.host.as_deref().map_or_else(|| endpoint.authority(), str::to_owned);
    let request = Request::builder()
        .method(Method::GET)
        .uri(&*how.path)
        .header(HOST, host)
        .header(USER_AGENT, HeaderValue::from_static("portcullis"))
        .header(CONNECTION, HeaderValue::from_static("close"));
    request.body(Empty::new()).map_err(|error| error.to_string())
}

async fn ask<T>(io: T, request: Request<Empty<Bytes>>) -> Result<u16, String>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: hyper::Error| format!("no valid answer: {error}");
    let mut http = http1::Builder::new();
    let (mut sender, connection) = http.max_buf_size(MAX_HEAD).handshake(TokioIo::new(io)).await.map_err(broken)?;
    let mut exchange = pin!(async move {
        let mut answer = sender.send_request(request).await.map_err(broken)?;
        let mut left = MAX_BODY;
        while let Some(frame) = answer.frame().await {
            let length = frame.map_err(broken)?.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { break };
            left = rest;
        }
        Ok(answer.status().as_u16())
    });
    tokio::select! {
        biased;
        asked = &mut exchange => asked,
        // It may end before its answer has been taken from it.
        _ = connection => exchange.await,
    }
}

async fn ask_http2<T>(io: T, request: Request<Empty<Bytes>>, tls: bool) -> Result<u16, String>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: h2::Error| format!("no valid answer: {error}");
    let mut http = h2::client::Builder::new();
    http.max_header_list_size(16 * 1024).enable_push(false);
    let (mut sender, connection) = http.handshake::<_, Bytes>(io).await.map_err(broken)?;
    let mut exchange = pin!(async move {
        let head = translate(request.into_parts().0, tls).map_err(|_| "its name cannot be an authority".to_owned())?;
        let (answer, _) = sender.send_request(head, true).map_err(broken)?;
        Ok(answer.await.map_err(broken)?.status().as_u16())
    });
    tokio::select! {
        biased;
        asked = &mut exchange => asked,
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
