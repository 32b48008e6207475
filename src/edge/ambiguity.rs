//! What an HTTP/2 request may not leave open, because it may be passed on as HTTP/1.

use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request};

use super::framing::is_host;
use crate::model::denial::Reason;

/// Why an HTTP/2 request is refused, if it is. (Its frames leave no doubt about its length, but a `Content-Length` that
/// disagrees with itself would in the next hop's framing; RFC 9113, section 8.1.1.)
pub(super) fn http2_refusal<B>(request: &Request<B>, max_headers: usize) -> Option<Reason> {
    let headers = request.headers();
    if headers.len() > max_headers {
        return Some(Reason::HeadTooLarge);
    }
    // The one byte that `http` takes in a name and that no token has (RFC 9110, section 5.6.2).
    if headers.keys().any(|name| memchr::memchr(b'"', name.as_str().as_bytes()).is_some()) {
        return Some(Reason::AmbiguousFraming);
    }
    // Of tunnels only WebSockets (RFC 8441) are served.
    if request.method() == Method::CONNECT && !opens_websocket(request) {
        return Some(Reason::MethodRefused);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next()
        && (lengths.next().is_some()
            || length.is_empty()
            || length.len() > 18
            || !length.as_bytes().iter().all(u8::is_ascii_digit))
    {
        return Some(Reason::AmbiguousFraming);
    }
    // What follows a `CONNECT` is no content (RFC 9110, section 9.3.6).
    if request.method() == Method::CONNECT && headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
        return Some(Reason::AmbiguousFraming);
    }
    let mut hosts = headers.get_all(HOST).iter();
    match (request.uri().authority(), hosts.next(), hosts.next()) {
        (_, _, Some(_)) | (None, None, _) => Some(Reason::InvalidHost),
        (Some(authority), _, _) if !is_host(authority.as_str().as_bytes()) => Some(Reason::InvalidHost),
        (None, Some(host), _) if !is_host(host.as_bytes()) => Some(Reason::InvalidHost),
        (Some(authority), Some(host), _) if !authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            Some(Reason::InvalidHost)
        }
        _ => None,
    }
}

/// Whether a request is the `CONNECT` of a WebSocket.
pub(super) fn opens_websocket<B>(request: &Request<B>) -> bool {
    request.method() == Method::CONNECT
        && request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(uri: &str, lines: &[(&str, &str)]) -> Option<Reason> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        http2_refusal(&request.body(()).unwrap(), 5)
    }

    #[test]
    fn f58_a_length_that_could_be_read_in_two_ways_is_refused() {
        assert_eq!(refusal("https://a/", &[("content-length", "5")]), None);
        for bad in ["", "+5", "5,5", "5 ", "-1", "0x5", "99999999999999999999"] {
            assert_eq!(refusal("https://a/", &[("content-length", bad)]), Some(Reason::AmbiguousFraming), "{bad}");
        }
        let twice = [("content-length", "5"), ("content-length", "5")];
        assert_eq!(refusal("https://a/", &twice), Some(Reason::AmbiguousFraming));
    }

    #[test]
    fn authority_and_host_agree() {
        assert_eq!(refusal("https://a.example/", &[("host", "A.example")]), None);
        assert_eq!(refusal("/", &[("host", "a.example")]), None);
        assert_eq!(refusal("/", &[]), Some(Reason::InvalidHost));
        assert_eq!(refusal("https://u@a.example/", &[]), Some(Reason::InvalidHost));
        assert_eq!(refusal("/", &[("host", "a, b")]), Some(Reason::InvalidHost));
        assert_eq!(refusal("https://a.example/", &[("host", "b.example")]), Some(Reason::InvalidHost));
        assert_eq!(refusal("/", &[("host", "a"), ("host", "a")]), Some(Reason::InvalidHost));
    }

    #[test]
    fn f58_a_name_that_is_no_token_is_refused() {
        // As HTTP/2 names are read.
        for byte in 0..=0xff_u8 {
            if let Ok(name) = http::HeaderName::from_lowercase(&[b'x', byte]) {
                let request = Request::builder().uri("https://a/").header(&name, "1").body(()).unwrap();
                let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
                assert_eq!(http2_refusal(&request, 5).is_none(), token, "{name}");
            }
        }
    }

    #[test]
    fn f57_fields_are_counted_cookie_crumbs_too() {
        let crumbs = |n| vec![("cookie", "a=b"); n];
        assert_eq!(refusal("https://a/", &crumbs(5)), None);
        assert_eq!(refusal("https://a/", &crumbs(6)), Some(Reason::HeadTooLarge));
    }

    #[test]
    fn f60_of_tunnels_only_websockets_pass() {
        let connect = |uri: &str, protocol: Option<&'static str>| {
            let mut request = Request::builder().method(Method::CONNECT).uri(uri);
            if let Some(protocol) = protocol {
                request = request.extension(Protocol::from_static(protocol));
            }
            http2_refusal(&request.body(()).unwrap(), 5)
        };
        assert_eq!(connect("https://a/ws", Some("websocket")), None);
        assert_eq!(connect("a:443", None), Some(Reason::MethodRefused));
        for other in ["", "WebSocket", "websocket,h2c", "connect-ip", "webtransport"] {
            assert_eq!(connect("https://a/ws", Some(other)), Some(Reason::MethodRefused), "{other}");
        }
        assert_eq!(connect("https://u@a/ws", Some("websocket")), Some(Reason::InvalidHost));
    }

    #[test]
    fn f59_a_tunnel_has_no_length() {
        let connect = |length: &str| {
            let request =
                Request::builder().method(Method::CONNECT).uri("https://a/ws").header("content-length", length);
            http2_refusal(&request.extension(Protocol::from_static("websocket")).body(()).unwrap(), 5)
        };
        assert_eq!(connect("0"), None);
        assert_eq!(connect("5"), Some(Reason::AmbiguousFraming));
    }
}
