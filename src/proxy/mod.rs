//! Enforces inline: check → inject → dispatch → log.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use crate::edge::{Connection, Handler};
use crate::gate::Gate;
use crate::model::settings::RouteSettings;
use crate::upstream::Upstreams;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Handles the requests of one worker.
pub struct Proxy {}

impl Proxy {
    /// In front of these upstreams. `routes`: all of them, for what their challenges say. `access_log`: whether
    /// permitted requests are logged.
    pub fn new(
        gate: Gate,
        upstreams: Upstreams,
        shared: Arc<crate::gate::Shared>,
        routes: &[Arc<RouteSettings>],
        access_log: bool,
        jwks: Bytes,
    ) -> Self {
        let _ = (gate, upstreams, shared, routes, access_log, jwks);
        todo!()
    }
}

impl Handler for Proxy {
    type Body = Body;

    async fn handle(&self, request: Request<Incoming>, connection: Arc<Connection>) -> Response<Self::Body> {
        let _ = (request, connection);
        todo!()
    }
}
