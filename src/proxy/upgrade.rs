//! WebSockets (RFC 6455): the one upgrade that is passed on.

use http::header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::extended_connect::is_translated;
use super::live::{Hold, carry, unless_ended};
use crate::edge::Opening;
use crate::upstream::ResponseBody;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether a request asks to become a WebSocket, in good form (RFC 6455, section 4.2.1): GET over HTTP/1.1, no body, one
/// `Upgrade` with that one protocol, `Connection` says so, one key and version 13; or what stands for it in HTTP/2.
/// Whatever else asks to upgrade is served as if it had not (RFC 9110, section 7.8 allows it): `h2c` above all would open
/// a way around every later decision.
pub(super) fn is_wanted<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && (request.version() == Version::HTTP_11 && has_key(headers) || is_translated(request))
        && is_websocket(headers)
        && names_upgrade(headers)
        && !headers.contains_key(TRANSFER_ENCODING)
        && headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
}

/// Asks the upstream, once the client's own hop-by-hop headers are gone; likewise answers the client.
pub(super) fn ask(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Whether an upstream switched protocols; `None` when it says so but to something else than was asked for.
pub(super) fn is_granted<B>(response: &Response<B>) -> Option<bool> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Some(false);
    }
    is_websocket(response.headers()).then_some(true)
}

/// Carries bytes both ways until both sides are done. Nothing that the client sent early has gone to the upstream
/// before: its side opens once the 101 has been written (f59).
///
/// `hold`: the credential with which it ends. `going_away`: ready when the service is to end, with what masks a frame.
pub(super) fn tunnel(
    client: Opening,
    upstream: OnUpgrade,
    connection: ResponseBody,
    hold: Option<Hold>,
    going_away: impl Future<Output = [u8; 4]> + 'static,
) {
    tokio::task::spawn_local(async move {
        let opening = async { (client.await, upstream.await) };
        if let Ok((Ok(client), Ok(upstream))) = unless_ended(hold.as_ref(), opening).await {
            if let Some(hold) = &hold {
                hold.ends_itself();
            }
            carry(client, TokioIo::new(upstream), hold, going_away).await;
        }
        // Held to here: a tunnel counts among the upstream's connections.
        drop(connection);
    });
}

fn is_websocket(headers: &HeaderMap) -> bool {
    only(headers, &UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// An upstream that would not take the handshake must not be asked as if it would: what the client sends next is for
/// nobody then.
fn has_key(headers: &HeaderMap) -> bool {
    // 16 bytes in base64.
    let is_key =
        |key: &[u8]| key.len() == 22 && key.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    only(headers, &SEC_WEBSOCKET_VERSION) == Some(b"13")
        && only(headers, &SEC_WEBSOCKET_KEY).and_then(|key| key.strip_suffix(b"==")).is_some_and(is_key)
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f59_only_a_well_formed_websocket_is_an_upgrade() {
        let good = || {
            Request::get("/")
                .header("connection", "keep-alive, Upgrade")
                .header("upgrade", "WebSocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
                .body(())
                .unwrap()
        };
        assert!(is_wanted(&good()));
        let spoiled: [fn(&mut Request<()>); 15] = [
            |r| *r.method_mut() = Method::POST,
            |r| *r.version_mut() = Version::HTTP_10,
            |r| *r.version_mut() = Version::HTTP_2,
            |r| drop(r.headers_mut().remove(CONNECTION)),
            |r| drop(r.headers_mut().remove(UPGRADE)),
            |r| drop(r.headers_mut().insert(UPGRADE, HeaderValue::from_static("h2c"))),
            |r| drop(r.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket, h2c"))),
            |r| assert!(r.headers_mut().append(UPGRADE, HeaderValue::from_static("h2c"))),
            |r| drop(r.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("5"))),
            |r| drop(r.headers_mut().remove(SEC_WEBSOCKET_VERSION)),
            |r| drop(r.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8"))),
            |r| assert!(r.headers_mut().append(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))),
            |r| drop(r.headers_mut().remove(SEC_WEBSOCKET_KEY)),
            |r| drop(r.headers_mut().insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("c2hvcnQ="))),
            |r| {
                assert!(r.headers_mut().append(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==")))
            },
        ];
        for (number, spoil) in spoiled.iter().enumerate() {
            let mut request = good();
            spoil(&mut request);
            assert!(!is_wanted(&request), "{number}");
        }
    }

    #[test]
    fn f59_switching_to_something_else_is_no_answer() {
        let answer = |status: u16, upgrade: &str| {
            is_granted(&Response::builder().status(status).header("upgrade", upgrade).body(()).unwrap())
        };
        assert_eq!(answer(101, "WebSocket"), Some(true));
        assert_eq!(answer(101, "h2c"), None);
        assert_eq!(answer(426, "websocket"), Some(false));
    }
}
