//! Sends a permitted request on, and makes of the answer what the client may see.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{Request, Response, Version};

use super::body::Farewell;
use super::body_limit::{self, Meter};
use super::extended_connect::{self, Handshake};
use super::live::{Hold, Upload, unless_ended};
use super::request::{self, Told};
use super::{Body, Proxy, cors, denial, edits, hints, hop_by_hop, security_headers, trailers, upgrade};
use crate::edge::{EarlyHints, Incoming, Opening};
use crate::gate::Permit;
use crate::gate::permit::{Answer, Destination};
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::upstream::ResponseBody;

impl Proxy {
    pub(super) async fn dispatch(
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
        let client_side = told.websocket.then(|| Opening::of(&mut request));
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
