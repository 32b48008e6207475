//! Operations over HTTP: `/v1/status`, `/v1/keys`, `/v1/sessions`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::Body;

use super::guard::Guard;
use super::operations::{OperationError, Operations};
use super::readiness::{Phase, Readiness};
use super::request;
use super::serve::{Answer, json, problem};
use super::views::Status;
use crate::gate::Shared;
use crate::model::{LogEntry, Revocation, Timestamp};

/// What answers operators.
pub struct Api {
    /// What can be done.
    pub operations: Operations,
    /// Whether new requests are welcome.
    pub readiness: Arc<Readiness>,
    /// What the status tells of.
    pub shared: Arc<Shared>,
    /// When the process was started.
    pub started_at: Timestamp,
}

impl Api {
    /// Answers one request that came through a listener with this guard.
    pub async fn answer<B>(&self, guard: &Guard, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Err((status, why)) = guard.admit(request.uri(), request.headers()) {
            return problem(status, why);
        }
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let Some(path) = path.strip_prefix("/v1/") else {
            return problem(StatusCode::NOT_FOUND, "operations are below /v1/");
        };
        let (resource, id) = path.split_once('/').map_or((path, None), |(resource, id)| (resource, Some(id)));
        let operations = &self.operations;
        match (&head.method, resource, id) {
            (&Method::GET, "status", None) => json(StatusCode::OK, &self.status()),

            (&Method::GET, "keys", None) => match request::principal(head.uri.query()) {
                Ok(of) => answered(StatusCode::OK, operations.list_keys(of.as_ref()).await),
                Err(why) => refused(&why),
            },
            (&Method::POST, "keys", None) => match request::json(&head.headers, body).await {
                Ok(new) => answered(StatusCode::CREATED, operations.create_key(new).await),
                Err((status, why)) => problem(status, &why),
            },
            (&Method::GET, "keys", Some(id)) => answered(StatusCode::OK, operations.show_key(id).await),
            (&Method::DELETE, "keys", Some(id)) => {
                let outcome = operations.revoke_key(id).await;
                if outcome.is_ok() {
                    self.revoked(Revocation::ApiKey { id: id.into() });
                }
                answered(StatusCode::OK, outcome)
            }

            (&Method::GET, "sessions", None) => match request::principal(head.uri.query()) {
                Ok(of) => answered(StatusCode::OK, operations.list_sessions(of.as_ref()).await),
                Err(why) => refused(&why),
            },
            (&Method::POST, "sessions", None) => match request::json(&head.headers, body).await {
                Ok(new) => answered(StatusCode::CREATED, operations.create_session(new).await),
                Err((status, why)) => problem(status, &why),
            },
            (&Method::DELETE, "sessions", Some(id)) => {
                let outcome = operations.revoke_session(id).await;
                if outcome.is_ok() {
                    self.revoked(Revocation::Session { id: id.into() });
                }
                answered(StatusCode::OK, outcome)
            }

            (_, "status", None) | (_, "keys" | "sessions", _) => {
                problem(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here")
            }
            _ => problem(StatusCode::NOT_FOUND, "there are /v1/status, /v1/keys and /v1/sessions"),
        }
    }

    /// In force here before the answer is sent, without waiting for the log to be read back; it brings the entry itself.
    fn revoked(&self, what: Revocation) {
        let until = self.shared.clock.now().after(UNTIL_THE_LOG_IS_READ);
        self.shared.revocations.add(&[LogEntry { what, until }]);
    }

    fn status(&self) -> Status {
        let now = self.shared.clock.now();
        let (phase, reasons) = match self.readiness.phase() {
            Phase::Starting(reasons) => ("starting", reasons),
            Phase::Ready => ("ready", Vec::new()),
            Phase::Draining => ("draining", Vec::new()),
        };
        let staleness = self.shared.revocations.staleness(now);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            phase: phase.to_owned(),
            reasons,
            uptime_seconds: now.since(self.started_at).as_secs(),
            revocation_staleness_ms: staleness.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            revocations: self.shared.revocations.len(),
            cached_credentials: self.shared.cache.len(),
        }
    }
}

/// Far beyond the time for which what the store once said of a credential is believed.
const UNTIL_THE_LOG_IS_READ: Duration = Duration::from_secs(60 * 60);

fn answered<T: serde::Serialize>(status: StatusCode, outcome: Result<T, OperationError>) -> Answer {
    match outcome {
        Ok(body) => json(status, &body),
        Err(why) => refused(&why),
    }
}

fn refused(why: &OperationError) -> Answer {
    let status = match why {
        OperationError::Invalid(_) => StatusCode::BAD_REQUEST,
        OperationError::NotFound { .. } => StatusCode::NOT_FOUND,
        OperationError::Store(_) | OperationError::Revoke(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, &why.to_string())
}
