//! One request from arrival to the head of its answer: what is remembered of it, and how it ends.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Method, Request, Response, Uri, Version};

use super::denial::{Asked, grpc_content_type};
use super::log::{Line, Outcome};
use super::request::{REQUEST_ID, request_id};
use super::{Body, Proxy, log, pages};
use crate::edge::Connection;
use crate::gate::permit::Answer;
use crate::model::{Client, DecisionId, Denial};

/// The status by which logs and metrics name a client that did not wait for its answer; never sent.
const CLIENT_LEFT: u16 = 499;

/// What is still needed of a request once it has been sent on. However it ends, it is counted, and logged where it must
/// be: also when the client leaves and everything is dropped, so that leaving early hides nothing.
pub(super) struct Exchange<'a> {
    proxy: &'a Proxy,
    pub(super) request_id: HeaderValue,
    pub(super) version: Version,
    /// Set once there is a permit.
    pub(super) answer: Option<Answer>,
    pub(super) id: DecisionId,
    since: Instant,
    connection: &'a Connection,
    client: IpAddr,
    method: Method,
    uri: Uri,
    grpc: Option<&'static str>,
    /// Whether a refusal is for people.
    html: bool,
    /// Whose page asks, where a route cares.
    origin: Option<HeaderValue>,
    /// Whether the client holds its body back; without a word to go on, nobody knows whether it follows.
    holds_back: bool,
    /// Whether it is a preflight that was agreed to.
    pub(super) preflight: bool,
    over: bool,
}

impl<'a> Exchange<'a> {
    pub(super) fn new<B>(
        proxy: &'a Proxy,
        request: &Request<B>,
        client: &Client,
        connection: &'a Arc<Connection>,
    ) -> Self {
        let id = proxy.ids.next(&*proxy.shared.entropy);
        Self {
            proxy,
            request_id: request_id(request.headers(), client, id),
            version: request.version(),
            answer: None,
            id,
            since: Instant::now(),
            connection,
            client: client.address,
            method: request.method().clone(),
            uri: request.uri().clone(),
            // Its denials are a 200, which would tell who wants a tunnel that there is one.
            grpc: grpc_content_type(request.headers()).filter(|_| *request.method() != Method::CONNECT),
            html: pages::are_wanted(request.headers()),
            origin: proxy.cors.origin(request.headers()),
            holds_back: request.version() < Version::HTTP_2 && request.headers().contains_key(EXPECT),
            preflight: false,
            over: false,
        }
    }

    /// Answers, counts and logs.
    pub(super) fn finish(mut self, outcome: Result<Response<Body>, Denial>) -> Response<Body> {
        self.over = true;
        match outcome {
            Ok(mut response) => {
                response.headers_mut().insert(REQUEST_ID, self.request_id.clone());
                let route = self.answer.as_ref().map(|answer| &*answer.route.name);
                self.proxy.cors.mark(route, self.origin.as_ref(), self.preflight, response.headers_mut());
                self.record(response.status().as_u16(), &Outcome::Served);
                response
            }
            Err(mut denial) => {
                if denial.route.is_none() {
                    denial.route = self.answer.as_ref().map(|answer| answer.route.name.clone());
                }
                self.proxy.shared.metrics.denial(denial.reason);
                // A gRPC client's denial goes out as 200; metrics and log say what it is.
                self.record(denial.reason.row().status, &Outcome::Denied(&denial));
                let mut response = self.proxy.challenges.render(&denial, &self.asked());
                self.proxy.cors.mark_denial(&denial, self.origin.as_ref(), response.headers_mut());
                if self.holds_back {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        }
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            method: &self.method,
            version: self.version,
            id: self.id,
            request_id: &self.request_id,
            grpc: self.grpc,
            pages: self.html.then_some(&self.proxy.pages),
        }
    }

    /// The time is that to the head of the answer.
    fn record(&self, status: u16, outcome: &Outcome<'_>) {
        let took = self.since.elapsed();
        let route = match outcome {
            Outcome::Denied(denial) => denial.route.as_deref(),
            Outcome::Served | Outcome::Left => self.answer.as_ref().map(|answer| &*answer.route.name),
        };
        self.proxy.shared.metrics.request(route, status, took);
        if !self.proxy.access_log && !matches!(outcome, Outcome::Denied(_)) {
            return;
        }
        let line = Line {
            id: self.id,
            request_id: &self.request_id,
            listener: &self.connection.listener.name,
            client: self.client,
            method: &self.method,
            path: self.uri.path(),
            route,
            status,
            took,
            identity: self.answer.as_ref().map(|answer| &answer.identity),
        };
        log::write(&line, outcome);
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.record(CLIENT_LEFT, &Outcome::Left);
        }
    }
}
