//! Enforces inline: check → inject → dispatch → log.

mod body;
mod body_limit;
mod cors;
mod current;
mod denial;
mod edits;
mod exchange;
mod expectation;
mod extended_connect;
mod forwarded;
mod hints;
mod hop_by_hop;
mod ids;
mod live;
mod log;
mod misdirected;
mod pages;
mod redirect;
mod request;
mod security_headers;
mod stall;
mod trailers;
mod upgrade;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;

use self::body::Farewell;
use self::body_limit::Meter;
use self::cors::CorsByRoute;
use self::denial::Challenges;
use self::exchange::Exchange;
use self::extended_connect::Handshake;
use self::ids::Ids;
use self::live::{Hold, Live, Upload, Watched, unless_ended};
use self::misdirected::CertificateHosts;
use self::pages::Pages;
use self::redirect::Secure;
use self::request::Told;
use crate::edge::{Connection, Drain, EarlyHints, Handler, Hangup, Refused};
use crate::gate::permit::{Answer, Destination};
use crate::gate::{CheckRequest, Gate, Permit, Shared};
use crate::model::denial::Reason;
use crate::model::settings::{Algorithm, ListenerSettings, PagesSettings, RouteSettings, Serve, Settings};
use crate::model::{Client, Denial};
use crate::upstream::{ResponseBody, Upstreams};

pub use self::body::Body;
pub use self::current::Current;

/// Handles the requests of one worker.
pub struct Proxy {
    gate: Rc<Gate>,
    upstreams: Upstreams,
    shared: Arc<Shared>,
    challenges: Challenges,
    cors: CorsByRoute,
    access_log: bool,
    jwks: Bytes,
    ids: Ids,
    live: Watched,
    listeners: Vec<Arc<ListenerSettings>>,
    secure: Vec<Secure>,
    pages: Pages,
    certificate_hosts: CertificateHosts,
    drain: Drain,
}

impl Proxy {
    /// In front of these upstreams. `routes`: all of them, for what their challenges and CORS headers say, `proof_algorithms` included.
    /// `access_log`: whether permitted requests are logged. `jwks`: the public keys of the assertion, as served.
    ///
    /// To be called within the worker's `LocalSet`, where what watches over live streams is started.
    pub fn new(
        gate: Gate,
        upstreams: Upstreams,
        shared: Arc<Shared>,
        routes: &[Arc<RouteSettings>],
        proof_algorithms: &[Algorithm],
        access_log: bool,
        jwks: Bytes,
    ) -> Self {
        let (gate, live) = (Rc::new(gate), Live::new());
        tokio::task::spawn_local(live::watch(Rc::clone(&live), Rc::clone(&gate), Arc::clone(&shared)));
        let realm = shared.passwords.as_ref().map(|passwords| passwords.realm());
        let challenges = Challenges::new(routes, proof_algorithms).with_realm(realm);
        let cors = CorsByRoute::new(routes);
        let (ids, secure, certificate_hosts) = (Ids::default(), Vec::new(), CertificateHosts::new(routes));
        let (pages, listeners, live) = (Pages::new(&PagesSettings::default()), Vec::new(), Watched(live));
        Self {
            gate,
            upstreams,
            shared,
            challenges,
            cors,
            access_log,
            jwks,
            ids,
            live,
            listeners,
            secure,
            pages,
            certificate_hosts,
            drain: Drain::new(),
        }
    }

    /// With what tells when WebSockets are to end, because everything is.
    #[must_use]
    pub fn with_drain(self, drain: Drain) -> Self {
        Self { drain, ..self }
    }

    /// What tells that.
    pub fn drain(&self) -> &Drain {
        &self.drain
    }

    /// With what refusals look like to people.
    #[must_use]
    pub fn with_pages(self, settings: &PagesSettings) -> Self {
        Self { pages: Pages::new(settings), ..self }
    }

    /// With the listeners: what they are now, on whichever connection a request comes, and what those that redirect to
    /// HTTPS know of those that serve it.
    #[must_use]
    pub fn with_listeners(self, settings: &Settings) -> Self {
        Self { secure: redirect::secure(settings), listeners: settings.listeners.clone(), ..self }
    }

    /// The connections to what is behind.
    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    async fn decide(
        &self,
        request: &Request<Incoming>,
        connection: &Connection,
        client: &Client,
    ) -> Result<(Permit, HeaderValue), Denial> {
        if let Some(Refused(reason)) = request.extensions().get::<Refused>() {
            return Err(refused(*reason));
        }
        if connection.is_garbled(request.headers()) {
            return Err(Denial::because(Reason::ForwardedMalformed, "a trusted proxy's `Forwarded`"));
        }
        expectation::check(request)?;
        let host = request::host(request)?;
        self.certificate_hosts.check(connection, &host)?;
        let permit = self.gate.check(&self.head(request, &connection.listener.name, connection, client, &host)).await?;
        Ok((permit, host))
    }

    /// A request as the gate sees it, as if it had come through this listener.
    fn head<'a, B>(
        &self,
        request: &'a Request<B>,
        listener: &'a str,
        connection: &'a Connection,
        client: &'a Client,
        host: &'a HeaderValue,
    ) -> CheckRequest<'a> {
        CheckRequest {
            listener,
            method: request.method(),
            target: request::target(request.uri()),
            // `request::host` has seen to it that it is text.
            host: host.to_str().unwrap_or_default(),
            headers: request.headers(),
            client,
            public_origin: connection.listener.public_origin.as_ref(),
            now: self.shared.clock.now(),
        }
    }

    async fn dispatch(
        &self,
        mut request: Request<Incoming>,
        permit: Permit,
        told: Told<'_>,
        answer: &Answer,
        hold: Option<Hold>,
        hints: Option<EarlyHints>,
    ) -> Result<Response<Body>, Denial> {
        let handshake = match extended_connect::is_translated(&request) {
            true => Some(Handshake::new(&*self.shared.entropy)?),
            false => None,
        };
        match permit.destination() {
            Destination::AssertionKeys | Destination::Preflight if handshake.is_some() => {
                return Err(Denial::because(Reason::MethodRefused, "no WebSocket is served there"));
            }
            Destination::AssertionKeys => return self.assertion_keys(permit.method()),
            Destination::Preflight => return Ok(cors::preflight()),
            Destination::Upstream(_) => {}
        }
        let meter = body_limit::admit(request.body(), permit.route().bounds.max_body)?;
        let client_side = told.websocket.then(|| hyper::upgrade::on(&mut request));
        // What the edge told us in there is not for the upstream's connection.
        request.extensions_mut().clear();
        if let Some(hints) = hints {
            request.extensions_mut().insert(hints::pass_on(hints, Arc::clone(&answer.route)));
        }
        request::prepare(request.headers_mut(), &told, &permit);
        if let Some(handshake) = &handshake {
            handshake.ask(request.headers_mut());
        }
        let version = told.version;
        let request = request.map(|body| Upload::new(body, hold.as_ref(), meter.as_ref()));
        let forwarded = self.upstreams.forward(permit, request, request::socket_address(told.client));
        let mut response = unless_ended(hold.as_ref(), forwarded)
            .await?
            .map_err(|denial| meter.as_ref().and_then(Meter::denial).unwrap_or(denial))?;
        let granted = upgrade::is_granted(&response)
            .ok_or_else(|| Denial::because(Reason::UpstreamFailed, "101 for another protocol than was asked for"))?;
        if let Some(handshake) = &handshake {
            handshake.answer(&mut response, granted)?;
        }
        hop_by_hop::remove_from_response(response.headers_mut());
        edits::apply(&answer.route.changes.response_headers, response.headers_mut());
        answer.harden(response.headers_mut());
        trailers::announce(response.headers_mut(), version);
        if answer.route.security_headers {
            security_headers::add_standard(response.headers_mut());
        }
        let Some(client_side) = client_side.filter(|_| granted) else {
            let farewell = farewell(&response, version);
            let idle = answer.route.bounds.stream_idle;
            return Ok(response.map(|body| Body::held(body, hold, farewell).within(idle, farewell)));
        };
        if handshake.is_none() {
            upgrade::ask(response.headers_mut());
        }
        let upstream_side = hyper::upgrade::on(&mut response);
        let (head, connection) = response.into_parts();
        upgrade::tunnel(client_side, upstream_side, connection, hold, self.going_away());
        Ok(Response::from_parts(head, Body::empty()))
    }

    /// Ready when draining begins, with what masks the last frame to an upstream.
    fn going_away(&self) -> impl Future<Output = [u8; 4]> + use<> {
        let (drain, entropy) = (self.drain.clone(), Arc::clone(&self.shared.entropy));
        async move {
            drain.begun().await;
            let mut mask = [0; 4];
            entropy.fill(&mut mask);
            mask
        }
    }

    fn assertion_keys(&self, method: &Method) -> Result<Response<Body>, Denial> {
        let body = match *method {
            Method::GET => Body::full(self.jwks.clone()),
            Method::HEAD => Body::empty(),
            _ => return Err(Denial::because(Reason::MethodRefused, "the assertion's keys can only be read")),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        headers.insert(CONTENT_LENGTH, self.jwks.len().into());
        Ok(response)
    }
}

/// What the edge has refused. An overload passes quickly or not at all.
fn refused(reason: Reason) -> Denial {
    let denial = Denial::new(reason);
    if reason == Reason::Overloaded { denial.retry_after(Duration::from_secs(1)) } else { denial }
}

/// How an answer of this head ends early. Trailers are for HTTP/2, where no length was promised; gRPC-Web has none.
fn farewell(response: &Response<ResponseBody>, version: Version) -> Farewell {
    let is_grpc = denial::grpc_content_type(response.headers()) == Some("application/grpc");
    if is_grpc && version == Version::HTTP_2 && !response.headers().contains_key(CONTENT_LENGTH) {
        Farewell::Grpc
    } else {
        Farewell::BreakOff
    }
}

impl Handler for Proxy {
    type Body = Body;

    async fn handle(
        &self,
        mut request: Request<Incoming>,
        connection: Arc<Connection>,
        hangup: Hangup,
    ) -> Response<Self::Body> {
        extended_connect::translate(&mut request);
        let client = connection.client(request.headers());
        let mut exchange = Exchange::new(self, &request, &client, &connection);
        if let Serve::RedirectToHttps { port } = connection.listener.serve {
            let outcome = self.redirect(&request, &connection, &client, port);
            return exchange.finish(outcome);
        }
        let outcome = match self.decide(&request, &connection, &client).await {
            Ok((permit, host)) => {
                exchange.preflight = *permit.destination() == Destination::Preflight;
                let answer = exchange.answer.insert(permit.answer());
                let websocket = upgrade::is_wanted(&request);
                let hints =
                    (answer.route.early_hints && !websocket).then(|| hangup.early_hints(exchange.version)).flatten();
                let hold = self.live.0.hold(answer, exchange.id, hangup);
                let told = Told {
                    client: &client,
                    host: &host,
                    request_id: &exchange.request_id,
                    websocket,
                    version: exchange.version,
                };
                self.dispatch(request, permit, told, answer, hold, hints).await
            }
            Err(denial) => Err(denial),
        };
        let mut response = exchange.finish(outcome);
        security_headers::add_hsts(response.headers_mut(), &connection);
        response
    }
}

#[cfg(test)]
mod tests;
