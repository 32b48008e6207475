//! A bearer token in `Sec-WebSocket-Protocol`, for browsers, which can set no other header on a WebSocket.
//!
//! The token is offered as a subprotocol of its own, `portcullis.bearer.<token>`, beside the real ones. It never reaches
//! the upstream. A browser that offers subprotocols fails unless the server picks one, so it must offer a real one too:
//! `new WebSocket(url, ["chat", "portcullis.bearer." + token])`.

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue};

const PREFIX: &str = "portcullis.bearer.";

/// Every token that is offered, in order.
pub(super) fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    lists.flat_map(offers).filter_map(|offer| offer.strip_prefix(PREFIX.as_bytes()))
}

/// Takes the tokens out; other subprotocols stay in order.
pub(in crate::gate) fn remove(headers: &mut HeaderMap) {
    if tokens(headers).next().is_none() {
        return;
    }
    let mut kept = Vec::new();
    for offer in headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().flat_map(offers) {
        if !offer.is_empty() && !offer.starts_with(PREFIX.as_bytes()) {
            if !kept.is_empty() {
                kept.extend_from_slice(b", ");
            }
            kept.extend_from_slice(offer);
        }
    }
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(kept) = HeaderValue::from_bytes(&kept).ok().filter(|kept| !kept.is_empty()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, kept);
    }
}

fn offers(list: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    list.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_out_and_the_rest_stays() {
        for (sent, found, left) in [
            (&["chat, portcullis.bearer.a.b.c"][..], &["a.b.c"][..], Some("chat")),
            (&["portcullis.bearer.t"], &["t"], None),
            (&["a", "portcullis.bearer.t , b"], &["t"], Some("a, b")),
            (&["portcullis.bearer.t,portcullis.bearer.u"], &["t", "u"], None),
            (&["a,b"], &[], Some("a,b")),
            (&["portcullis.bearer"], &[], Some("portcullis.bearer")),
        ] {
            let mut headers: HeaderMap =
                sent.iter().map(|list| (SEC_WEBSOCKET_PROTOCOL, list.parse().unwrap())).collect();
            let tokens: Vec<&[u8]> = tokens(&headers).collect();
            assert_eq!(tokens, found.iter().map(|t| t.as_bytes()).collect::<Vec<_>>(), "{sent:?}");
            remove(&mut headers);
            assert_eq!(headers.get(SEC_WEBSOCKET_PROTOCOL).map(|v| v.to_str().unwrap()), left, "{sent:?}");
        }
    }
}
