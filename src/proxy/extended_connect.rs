//! WebSockets over HTTP/2 (RFC 8441): a stream that the client opens with `CONNECT` becomes one of its own. To all else,
//! and to the upstream, it is the request over HTTP/1.1 that it stands for.

use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};

use super::upgrade;
use crate::crypto::websocket_key;
use crate::model::denial::Reason;
use crate::model::{Denial, Entropy};

/// Makes the `CONNECT` of a WebSocket the `GET` that asks to upgrade, before anything looks at it: routes, rules and the
/// check for cross-site use then hold for it as for the other. The edge has refused every other `CONNECT`.
pub(super) fn translate<B>(request: &mut Request<B>) {
    if *request.method() != Method::CONNECT || !is_translated(request) {
        return;
    }
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    // There is no content; and an answer in the form of gRPC would be a 200, which opens the WebSocket.
    headers.remove(CONTENT_LENGTH);
    headers.remove(CONTENT_TYPE);
    // HTTP/2 has neither header, so that nobody else can have set them.
    upgrade::ask(headers);
}

/// Whether the request came as `CONNECT` of a WebSocket.
pub(super) fn is_translated<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_2
        && request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// What HTTP/2 leaves out of the handshake, and HTTP/1.1 wants.
pub(super) struct Handshake {
    key: HeaderValue,
    accept: String,
}

impl Handshake {
    pub(super) fn new(entropy: &dyn Entropy) -> Result<Self, Denial> {
        let key = websocket_key::mint(entropy);
        let accept = websocket_key::accept(&key);
        let key = HeaderValue::try_from(key).map_err(|_| Denial::new(Reason::Internal))?;
        Ok(Self { key, accept })
    }

    /// Asks the upstream, instead of the client's own key where there is one.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(SEC_WEBSOCKET_KEY, self.key.clone());
    }

    /// Makes the upstream's answer the client's. A successful status opens the WebSocket whatever it means elsewhere, so
    /// only an upstream that has switched may have one.
    pub(super) fn answer<B>(&self, response: &mut Response<B>, granted: bool) -> Result<(), Denial> {
        let status = response.status();
        if !granted {
            return if status.is_success() {
                Err(Denial::because(Reason::UpstreamFailed, format!("{} to a WebSocket handshake", status.as_u16())))
            } else {
                Ok(())
            };
        }
        let mut proofs = response.headers().get_all(SEC_WEBSOCKET_ACCEPT).iter();
        if proofs.next().is_none_or(|proof| proof.as_bytes() != self.accept.as_bytes()) || proofs.next().is_some() {
            return Err(Denial::because(Reason::UpstreamFailed, "101 without the right `Sec-WebSocket-Accept`"));
        }
        response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
        *response.status_mut() = StatusCode::OK;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    fn connect(version: Version, protocol: Option<&'static str>) -> Request<()> {
        let mut request = Request::builder().method(Method::CONNECT).uri("https://a/ws").version(version);
        request = request.header("content-type", "application/grpc").header("sec-websocket-version", "13");
        if let Some(protocol) = protocol {
            request = request.extension(Protocol::from_static(protocol));
        }
        let mut request = request.body(()).unwrap();
        translate(&mut request);
        request
    }

    #[test]
    fn f60_only_a_websocket_becomes_a_get() {
        let request = connect(Version::HTTP_2, Some("websocket"));
        assert_eq!((request.method(), request.uri().path()), (&Method::GET, "/ws"));
        assert!(upgrade::is_wanted(&request));
        assert!(!request.headers().contains_key(CONTENT_TYPE));
        for (version, protocol) in [
            (Version::HTTP_2, None),
            (Version::HTTP_2, Some("connect-udp")),
            (Version::HTTP_2, Some("WebSocket")),
            (Version::HTTP_2, Some("websocket ")),
            (Version::HTTP_11, Some("websocket")),
        ] {
            let request = connect(version, protocol);
            assert_eq!(request.method(), Method::CONNECT, "{version:?} {protocol:?}");
            assert!(!upgrade::is_wanted(&request));
        }
    }

    #[test]
    fn f59_an_answer_opens_the_websocket_only_where_the_upstream_has_switched() {
        let handshake = Handshake::new(&SystemEntropy).unwrap();
        let answer = |status: u16, proofs: &[&str], granted: bool| {
            let mut response = Response::builder().status(status);
            for proof in proofs {
                response = response.header(SEC_WEBSOCKET_ACCEPT, *proof);
            }
            let mut response = response.body(()).unwrap();
            let denied = handshake.answer(&mut response, granted).map_err(|denial| denial.reason);
            denied.map(|()| (response.status().as_u16(), response.headers().len()))
        };
        let right = handshake.accept.as_str();
        assert_eq!(answer(101, &[right], true), Ok((200, 0)));
        for proofs in [&[][..], &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="], &[right, right], &[""]] {
            assert_eq!(answer(101, proofs, true), Err(Reason::UpstreamFailed), "{proofs:?}");
        }
        assert_eq!(answer(426, &[], false), Ok((426, 0)));
        for status in [200, 204, 206] {
            assert_eq!(answer(status, &[], false), Err(Reason::UpstreamFailed));
        }
    }
}
