//! `/livez`, `/readyz`, `/metrics`, and nothing else.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Method, Request, Response, StatusCode};

use super::readiness::{Phase, Readiness};
use super::serve::{Answer, json, text};
use crate::gate::Shared;

/// What answers probes and scrapes.
pub struct Health {
    /// Whether new requests are welcome.
    pub readiness: Arc<Readiness>,
    /// Whose metrics.
    pub shared: Arc<ArcSwap<Shared>>,
}

impl Health {
    /// Answers one request.
    pub fn answer<B>(&self, request: &Request<B>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
        }
        match request.uri().path() {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readyz(),
            "/metrics" => self.metrics(),
            _ => text(StatusCode::NOT_FOUND, "only /livez, /readyz and /metrics are served here\n"),
        }
    }

    fn readyz(&self) -> Answer {
        let (status, reasons) = match self.readiness.phase() {
            Phase::Ready => (StatusCode::OK, Vec::new()),
            Phase::Starting(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons),
            Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, vec!["draining".to_owned()]),
        };
        let shared = self.shared.load();
        let now = shared.clock.now();
        // It is as ready as ever; who looks at it is told in time.
        let warnings: Vec<_> =
            shared.metrics.certificates_at(now).warnings(now).map(|warning| format!("warning: {warning}")).collect();
        let mut told = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
        if let (Some(told), false) = (told.as_object_mut(), warnings.is_empty()) {
            told.insert("warnings".to_owned(), warnings.into());
        }
        json(status, &told)
    }

    fn metrics(&self) -> Answer {
        let shared = self.shared.load();
        // Asked now: a follower that hangs reports nothing, and that is when the age counts.
        if let Some(staleness) = shared.revocations.staleness(shared.clock.now()) {
            shared.metrics.revocation(staleness, shared.revocations.counts());
        }
        shared.metrics.certificates_at(shared.clock.now());
        let mut answer = Response::new(shared.metrics.render().into());
        let kind = http::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        answer
    }
}
