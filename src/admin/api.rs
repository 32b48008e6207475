//! Operations over HTTP: `/v1/status`, `/v1/keys`, `/v1/sessions`, `/v1/revocations`, `/v1/upstreams`,
//! `/v1/maintenance`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::Body;

use super::guard::Guard;
use super::operations::{OperationError, Operations, listed};
use super::readiness::{Phase, Readiness};
use super::reload::Reloads;
use super::request;
use super::serve::{Answer, json, problem};
use super::views::{Maintenance, Revocations, Status, UpstreamView};
use crate::gate::Shared;
use crate::model::{Revocation, Timestamp};
use crate::upstream::Conditions;

/// What answers operators.
pub struct Api {
    /// What can be done, by the configuration in force.
    pub operations: ArcSwap<Operations>,
    /// Whether new requests are welcome.
    pub readiness: Arc<Readiness>,
    /// What the status tells of.
    pub shared: Arc<ArcSwap<Shared>>,
    /// How upstreams stand.
    pub conditions: Arc<ArcSwap<Conditions>>,
    /// For a new configuration.
    pub reloads: Reloads,
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
        let operations = self.operations.load_full();
        match (&head.method, resource, id) {
            (&Method::GET, "status", None) => json(StatusCode::OK, &self.status()),

            (&Method::POST, "reload", None) => self.reload().await,

            (&Method::GET, "keys", None) => match request::principal(head.uri.query()) {
                Ok(of) => answered(StatusCode::OK, operations.list_keys(of.as_ref()).await),
                Err(why) => refused(&why),
            },
            (&Method::POST, "keys", None) => match request::json(&head.headers, body).await {
                Ok(new) => answered(StatusCode::CREATED, operations.create_key(new).await),
                Err((status, why)) => problem(status, &why),
            },
            (&Method::GET, "keys", Some(id)) => answered(StatusCode::OK, operations.show_key(id).await),
            (&Method::DELETE, "keys", Some(id)) => answered(StatusCode::OK, operations.revoke_key(id).await),

            (&Method::GET, "sessions", None) => match request::principal(head.uri.query()) {
                Ok(of) => answered(StatusCode::OK, operations.list_sessions(of.as_ref()).await),
                Err(why) => refused(&why),
            },
            (&Method::POST, "sessions", None) => match request::json(&head.headers, body).await {
                Ok(new) => answered(StatusCode::CREATED, operations.create_session(new).await),
                Err((status, why)) => problem(status, &why),
            },
            (&Method::DELETE, "sessions", Some(id)) => answered(StatusCode::OK, operations.revoke_session(id).await),

            (&Method::GET, "revocations", None) => match request::kind_and_limit(head.uri.query()) {
                Ok((kind, limit)) => answered(StatusCode::OK, self.list_revocations(kind, limit).await),
                Err(why) => refused(&why),
            },
            (&Method::POST, "revocations", None) => match request::json(&head.headers, body).await {
                Ok(what) => answered(StatusCode::OK, operations.revoke(what).await),
                Err((status, why)) => problem(status, &why),
            },

            (&Method::GET, "maintenance", None) => json(StatusCode::OK, &self.maintenance(None)),
            (&Method::POST, "maintenance", None) => json(StatusCode::OK, &self.maintenance(Some(true))),
            (&Method::DELETE, "maintenance", None) => json(StatusCode::OK, &self.maintenance(Some(false))),

            (&Method::GET, "upstreams", None) => {
                let standings = self.conditions.load().standings();
                json(StatusCode::OK, &standings.into_iter().map(UpstreamView::from).collect::<Vec<_>>())
            }

            (_, "status" | "reload" | "revocations" | "upstreams" | "maintenance", None)
            | (_, "keys" | "sessions", _) => problem(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here"),
            _ => problem(StatusCode::NOT_FOUND, NOT_FOUND),
        }
    }

    /// Of the live set, which can be large: on a thread of its own, so that the log is followed meanwhile.
    async fn list_revocations(&self, kind: Option<String>, limit: usize) -> Result<Revocations, OperationError> {
        let shared = self.shared.load_full();
        let now = shared.clock.now();
        let list = move || listed(|add| shared.revocations.for_each(add), kind.as_deref(), limit, now);
        let listed = tokio::task::spawn_blocking(list).await;
        listed.unwrap_or_else(|_| Err(OperationError::Invalid("the list was cut short".to_owned())))
    }

    /// Switches the whole instance, if asked to; what holds then. Requests under way go on.
    fn maintenance(&self, switch: Option<bool>) -> Maintenance {
        let switched_on = &self.shared.load().maintenance;
        if let Some(on) = switch
            && switched_on.swap(on, Ordering::Relaxed) != on
        {
            tracing::warn!(on, "maintenance switched");
        }
        Maintenance { switched_on: switched_on.load(Ordering::Relaxed) }
    }

    async fn reload(&self) -> Answer {
        match self.reloads.reload("admin").await {
            Some(outcome) if outcome.applied => json(StatusCode::OK, &outcome),
            Some(outcome) => problem(StatusCode::UNPROCESSABLE_ENTITY, &outcome.problem.unwrap_or_default()),
            None => problem(StatusCode::SERVICE_UNAVAILABLE, "this instance does not reload, or is ending"),
        }
    }

    fn status(&self) -> Status {
        let shared = self.shared.load();
        let now = shared.clock.now();
        let (phase, reasons) = match self.readiness.phase() {
            Phase::Starting(reasons) => ("starting", reasons),
            Phase::Ready => ("ready", Vec::new()),
            Phase::Draining => ("draining", Vec::new()),
        };
        let staleness = shared.revocations.staleness(now);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            phase: phase.to_owned(),
            reasons,
            uptime_seconds: now.since(self.started_at).as_secs(),
            revocation_staleness_ms: staleness.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            revocations: shared.revocations.len(),
            revocations_by_kind: Revocation::KINDS
                .iter()
                .zip(shared.revocations.counts())
                .map(|(kind, count)| ((*kind).to_owned(), count))
                .collect(),
            cached_credentials: shared.cache.len(),
            last_reload: self.reloads.last(),
        }
    }
}

const NOT_FOUND: &str =
    "there are /v1/status, /v1/reload, /v1/keys, /v1/sessions, /v1/revocations, /v1/upstreams and /v1/maintenance";

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
        OperationError::Store(_) | OperationError::Revoke(_) | OperationError::Unfinished { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    problem(status, &why.to_string())
}
