//! Speaks to a running instance through its admin socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::failure::Failure;

/// How long an operation may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer: a list of very many keys.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// An admin socket.
pub(super) struct AdminClient {
    pub(super) socket: PathBuf,
}

impl AdminClient {
    /// Asks for something.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.exchange(Method::GET, path, Bytes::new()).await
    }

    /// Ends something.
    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.exchange(Method::DELETE, path, Bytes::new()).await
    }

    /// Makes something.
    pub(super) async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|problem| Failure::failed(problem.to_string()))?;
        self.exchange(Method::POST, path, body.into()).await
    }

    async fn exchange<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, Failure> {
        let (status, body) = match tokio::time::timeout(TIMEOUT, self.send(method, path, body)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(self.failed("no answer in time")),
        };
        if !status.is_success() {
            let detail = serde_json::from_slice::<serde_json::Value>(&body).ok();
            let detail = detail.as_ref().and_then(|problem| problem.get("detail")?.as_str());
            return Err(Failure::failed(
                detail.map_or_else(|| format!("the instance answers {status}"), str::to_owned),
            ));
        }
        serde_json::from_slice(&body).map_err(|_| self.failed("the answer is not understood; is it another version?"))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "portcullis")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|problem| Failure::usage(format!("`{path}` cannot be asked for: {problem}")))?;
        let stream = UnixStream::connect(&self.socket).await.map_err(|problem| unreachable(&self.socket, &problem))?;
        let broken = |problem: hyper::Error| self.failed(&problem.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|problem| self.failed(&problem.to_string()))?;
            Ok((head.status, body.to_bytes()))
        };
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => return answer,
            // The connection may end before the answer has been taken from it.
            _ = connection => {}
        }
        exchange.await
    }

    fn failed(&self, why: &str) -> Failure {
        Failure::failed(format!("admin socket `{}`: {why}", self.socket.display()))
    }
}

fn unreachable(socket: &Path, problem: &io::Error) -> Failure {
    let why = match problem.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "no instance listens there; start it with `portcullis run`".to_owned()
        }
        io::ErrorKind::PermissionDenied => "only the user that runs the instance may open it".to_owned(),
        _ => problem.to_string(),
    };
    Failure::failed(format!("admin socket `{}`: {why}", socket.display()))
}
