//! Enforces inline: check → inject → dispatch → log.

mod body;
mod denial;
mod forwarded;
mod hop_by_hop;
mod ids;
mod log;
mod request;
mod upgrade;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::Incoming;

use self::denial::{Asked, Challenges};
use self::ids::Ids;
use self::request::{REQUEST_ID, Told};
use crate::edge::{Connection, Handler, Refused};
use crate::gate::permit::{Answer, Destination};
use crate::gate::{CheckRequest, Gate, Permit, Shared};
use crate::model::denial::Reason;
use crate::model::settings::RouteSettings;
use crate::model::{Client, DecisionId, Denial};
use crate::upstream::Upstreams;

pub use self::body::Body;

/// Handles the requests of one worker.
pub struct Proxy {
    gate: Gate,
    upstreams: Upstreams,
    shared: Arc<Shared>,
    challenges: Challenges,
    access_log: bool,
    jwks: Bytes,
    ids: Ids,
}

impl Proxy {
    /// In front of these upstreams. `routes`: all of them, for what their challenges say. `access_log`: whether
    /// permitted requests are logged. `jwks`: the public keys of the assertion, as served.
    pub fn new(
        gate: Gate,
        upstreams: Upstreams,
        shared: Arc<Shared>,
        routes: &[Arc<RouteSettings>],
        access_log: bool,
        jwks: Bytes,
    ) -> Self {
        Self { gate, upstreams, shared, challenges: Challenges::new(routes), access_log, jwks, ids: Ids::default() }
    }

    async fn decide(
        &self,
        request: &Request<Incoming>,
        connection: &Connection,
        client: &Client,
    ) -> Result<(Permit, HeaderValue), Denial> {
        if let Some(Refused(reason)) = request.extensions().get::<Refused>() {
            return Err(Denial::new(*reason));
        }
        let host = request::host(request)?;
        let permit = self
            .gate
            .check(&CheckRequest {
                listener: &connection.listener.name,
                method: request.method(),
                target: request::target(request.uri()),
                // `request::host` has seen to it that it is text.
                host: host.to_str().unwrap_or_default(),
                headers: request.headers(),
                client,
                public_origin: connection.listener.public_origin.as_ref(),
                now: self.shared.clock.now(),
            })
            .await?;
        Ok((permit, host))
    }

    async fn dispatch(
        &self,
        mut request: Request<Incoming>,
        permit: Permit,
        told: Told<'_>,
        answer: &Answer,
    ) -> Result<Response<Body>, Denial> {
        if *permit.destination() == Destination::AssertionKeys {
            return Ok(self.assertion_keys(permit.method()));
        }
        let client_side = told.websocket.then(|| hyper::upgrade::on(&mut request));
        // What the edge told us in there is not for the upstream's connection.
        request.extensions_mut().clear();
        request::prepare(request.headers_mut(), &told, &permit);
        let mut response = self.upstreams.forward(permit, request).await?;
        let granted = upgrade::is_granted(&response)
            .ok_or_else(|| Denial::because(Reason::UpstreamFailed, "101 for another protocol than was asked for"))?;
        hop_by_hop::remove_from_response(response.headers_mut());
        answer.harden(response.headers_mut());
        let Some(client_side) = client_side.filter(|_| granted) else {
            return Ok(response.map(Body::from));
        };
        upgrade::ask(response.headers_mut());
        let upstream_side = hyper::upgrade::on(&mut response);
        let (head, connection) = response.into_parts();
        upgrade::tunnel(client_side, upstream_side, connection);
        Ok(Response::from_parts(head, Body::empty()))
    }

    fn assertion_keys(&self, method: &Method) -> Response<Body> {
        let body = match *method {
            Method::GET => Body::full(self.jwks.clone()),
            _ => Body::empty(),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        headers.insert(CONTENT_LENGTH, self.jwks.len().into());
        response
    }
}

impl Handler for Proxy {
    type Body = Body;

    async fn handle(&self, request: Request<Incoming>, connection: Arc<Connection>) -> Response<Self::Body> {
        let client = connection.client(request.headers());
        let seen = Seen::of(&request, &client, &connection, self.ids.next(&*self.shared.entropy));
        let mut answer = None;
        let outcome = match self.decide(&request, &connection, &client).await {
            Ok((permit, host)) => {
                let answer = answer.insert(permit.answer());
                let told = Told {
                    client: &client,
                    host: &host,
                    request_id: &seen.request_id,
                    websocket: upgrade::is_wanted(&request),
                    version: seen.version,
                };
                self.dispatch(request, permit, told, answer).await
            }
            Err(denial) => Err(denial),
        };
        self.finish(&seen, answer.as_ref(), outcome)
    }
}

/// What is still needed of a request once it has been sent on.
struct Seen {
    id: DecisionId,
    request_id: HeaderValue,
    since: Instant,
    connection: Arc<Connection>,
    client: IpAddr,
    method: Method,
    uri: Uri,
    version: Version,
    grpc: Option<&'static str>,
}

impl Seen {
    fn of(request: &Request<Incoming>, client: &Client, connection: &Arc<Connection>, id: DecisionId) -> Self {
        Self {
            id,
            request_id: request::request_id(request.headers(), client, id),
            since: Instant::now(),
            connection: connection.clone(),
            client: client.address,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            grpc: denial::grpc_content_type(request.headers()),
        }
    }
}

impl Proxy {
    /// Answers, counts and logs. The time is that to the head of the answer.
    fn finish(&self, seen: &Seen, answer: Option<&Answer>, outcome: Result<Response<Body>, Denial>) -> Response<Body> {
        let (response, denial) = match outcome {
            Ok(mut response) => {
                response.headers_mut().insert(REQUEST_ID, seen.request_id.clone());
                (response, None)
            }
            Err(mut denial) => {
                if denial.route.is_none() {
                    denial.route = answer.map(|answer| answer.route.name.clone());
                }
                let asked = Asked {
                    method: &seen.method,
                    version: seen.version,
                    id: seen.id,
                    request_id: &seen.request_id,
                    grpc: seen.grpc,
                };
                (self.challenges.render(&denial, &asked), Some(denial))
            }
        };
        let took = seen.since.elapsed();
        let route = match &denial {
            Some(denial) => denial.route.as_deref(),
            None => answer.map(|answer| &*answer.route.name),
        };
        // A gRPC client's denial goes out as 200; metrics and log say what it is.
        let status = denial.as_ref().map_or(response.status().as_u16(), |denial| denial.reason.row().status);
        self.shared.metrics.request(route, status, took);
        if let Some(denial) = &denial {
            self.shared.metrics.denial(denial.reason);
        }
        if denial.is_some() || self.access_log {
            let line = log::Line {
                id: seen.id,
                request_id: &seen.request_id,
                listener: &seen.connection.listener.name,
                client: seen.client,
                method: &seen.method,
                path: seen.uri.path(),
                route,
                status,
                took,
                identity: answer.map(|answer| &answer.identity),
            };
            log::write(&line, denial.as_ref());
        }
        response
    }
}
