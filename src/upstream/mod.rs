//! What is behind: endpoints, connections, forwarding.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

use crate::gate::Permit;
use crate::model::Denial;
use crate::model::settings::UpstreamSettings;

/// Why an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("upstream.{upstream}: {problem}")]
pub struct UpstreamError {
    /// Its name.
    pub upstream: Arc<str>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// All upstreams of one worker, each with its own connections.
pub struct Upstreams {}

impl Upstreams {
    /// Reads certificates; opens no connection yet.
    pub fn new(settings: &[Arc<UpstreamSettings>]) -> Result<Self, UpstreamError> {
        let _ = settings;
        todo!()
    }

    /// Sends a permitted request to the upstream of its permit, with the method and target of its permit, and returns
    /// the head of the answer; bodies stream both ways. Consumes the permit: one decision, one forward. Headers must be as the upstream may see them.
    pub async fn forward<B>(&self, permit: Permit, request: Request<B>) -> Result<Response<Incoming>, Denial>
    where
        B: Body<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let _ = (permit, request);
        todo!()
    }
}
