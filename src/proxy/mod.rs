//! Enforces inline: check → inject → dispatch → log.

mod assertion_keys;
mod body;
mod body_limit;
mod cors;
mod current;
mod denial;
mod dispatch;
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
use http::{HeaderValue, Request, Response};

use self::cors::CorsByRoute;
use self::denial::Challenges;
use self::exchange::Exchange;
use self::ids::Ids;
use self::live::{Live, Watched};
use self::misdirected::CertificateHosts;
use self::pages::Pages;
use self::redirect::Secure;
use self::request::Told;
use crate::edge::{Connection, Drain, Handler, Hangup, Incoming, Refused};
use crate::gate::permit::Destination;
use crate::gate::{CheckRequest, Gate, Permit, Shared};
use crate::model::denial::Reason;
use crate::model::settings::{ListenerSettings, Serve, Settings};
use crate::model::{Client, Denial};
use crate::upstream::Upstreams;

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
    /// In front of these upstreams, as these settings want it. `jwks`: the public keys of the assertion, as served. `drain`
    /// tells when WebSockets are to end, because everything is.
    ///
    /// To be called within the worker's `LocalSet`, where what watches over live streams is started.
    pub fn new(
        gate: Gate,
        upstreams: Upstreams,
        shared: Arc<Shared>,
        settings: &Settings,
        jwks: Bytes,
        drain: Drain,
    ) -> Self {
        let (gate, live) = (Rc::new(gate), Live::new());
        tokio::task::spawn_local(live::watch(Rc::clone(&live), Rc::clone(&gate), Arc::clone(&shared)));
        let realm = shared.passwords.as_ref().map(|passwords| passwords.realm());
        Self {
            challenges: Challenges::new(&settings.routes, &settings.dpop.algorithms).with_realm(realm),
            cors: CorsByRoute::new(&settings.routes),
            certificate_hosts: CertificateHosts::new(&settings.routes),
            pages: Pages::new(&settings.pages),
            secure: redirect::secure(settings),
            listeners: settings.listeners.clone(),
            access_log: settings.log.access,
            ids: Ids::default(),
            live: Watched(live),
            gate,
            upstreams,
            shared,
            jwks,
            drain,
        }
    }

    /// What tells when everything is to end.
    pub fn drain(&self) -> &Drain {
        &self.drain
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
}

/// What the edge has refused. An overload passes quickly or not at all.
fn refused(reason: Reason) -> Denial {
    let denial = Denial::new(reason);
    if reason == Reason::Overloaded { denial.retry_after(Duration::from_secs(1)) } else { denial }
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
                if let Some(objection) = permit.objection() {
                    log::would_deny(exchange.id, &permit.route().name, objection);
                }
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
