//! The small HTTP/1.1 server of the admin plane.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

/// What it answers.
pub type Answer = Response<Full<Bytes>>;

/// Connections at once, of one listener.
const MAX_CONNECTIONS: usize = 256;
/// How long a request head may take, and a connection be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after a failed accept (out of descriptors, say) before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener of either kind.
#[derive(Debug)]
pub enum Acceptor {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

/// Accepts and serves on the current thread (a `LocalSet`) until dropped.
pub async fn serve<F, A>(acceptor: Acceptor, answer: F)
where
    F: Fn(Request<Incoming>) -> A + 'static,
    A: Future<Output = Answer> + 'static,
{
    let answer = Rc::new(answer);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let answer = Rc::clone(&answer);
        let accepted = match &acceptor {
            Acceptor::Tcp(listener) => listener.accept().await.map(|(socket, _)| {
                tokio::task::spawn_local(async move {
                    connection(socket, answer).await;
                    drop(place);
                })
            }),
            Acceptor::Unix(listener) => listener.accept().await.map(|(socket, _)| {
                tokio::task::spawn_local(async move {
                    connection(socket, answer).await;
                    drop(place);
                })
            }),
        };
        if let Err(problem) = accepted {
            tracing::warn!(%problem, "a connection to the admin plane could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

async fn connection<S, F, A>(socket: S, answer: Rc<F>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Fn(Request<Incoming>) -> A + 'static,
    A: Future<Output = Answer> + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(socket), service)
        .await;
    if let Err(problem) = served {
        tracing::debug!(%problem, "a connection to the admin plane ended early");
    }
}

/// An answer of plain text.
pub(super) fn text(status: StatusCode, body: &'static str) -> Answer {
    answer(status, "text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()))
}

/// An answer of JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, body: &T) -> Answer {
    match serde_json::to_vec(body) {
        Ok(mut body) => {
            body.push(b'\n');
            answer(status, "application/json", body.into())
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written as JSON\n"),
    }
}

/// A refusal (RFC 9457).
pub(super) fn problem(status: StatusCode, detail: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or("Error");
    let mut answer = json(status, &serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail }));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
