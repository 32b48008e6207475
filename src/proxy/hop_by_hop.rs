//! Headers that are for one connection only (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, TE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::header::fold;
use crate::model::reserved;

/// Removes from a request what its own connection was told: the headers that `Connection` names and those that are
/// hop-by-hop by definition. Of `TE`, `trailers` stays; of `Trailer`, the names that may be forwarded.
///
/// This comes before anything is added: what we inject afterwards no `Connection` of a client's can take away (f05).
pub(super) fn remove_from_request(headers: &mut HeaderMap) {
    // `Connection` names `TE` wherever it is used rightly (RFC 9110, section 10.1.4); what is sent on is our own.
    let trailers = wants_trailers(headers);
    remove_named(headers);
    headers.remove(TE);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if headers.contains_key(TRAILER) {
        keep_trailers(headers);
    }
    remove_defined(headers);
}

/// The same for an answer.
pub(super) fn remove_from_response(headers: &mut HeaderMap) {
    remove_named(headers);
    headers.remove(TE);
    remove_defined(headers);
}

/// Whether a header's name, in any spelling, belongs to one connection or says where a message ends. Origins that fold
/// `_` to `-` (CGI and what descends from it) would read `Transfer_Encoding` as the header that it imitates.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    reserved::is_hop_by_hop(&fold(name))
}

fn remove_named(headers: &mut HeaderMap) {
    // Nearly every request has none, or `keep-alive` alone.
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
}

fn wants_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// hyper sends those trailers that `Trailer` announces, so this is where it is decided which may follow the body.
fn keep_trailers(headers: &mut HeaderMap) {
    let kept = headers
        .get_all(TRAILER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !is_hop_by_hop(name) && !super::forwarded::is_claim(name))
        .collect::<Vec<_>>()
        .join(", ");
    headers.remove(TRAILER);
    if let Some(value) = (!kept.is_empty()).then(|| HeaderValue::try_from(kept).ok()).flatten() {
        headers.insert(TRAILER, value);
    }
}

fn remove_defined(headers: &mut HeaderMap) {
    // In their own spelling these three mean something after this: what is kept of `TE` and `Trailer`, and the length
    // that framing checks against the body. `Host` is the proxy's to set.
    let stays = |name: &str| matches!(name, "te" | "trailer" | "content-length" | "host");
    let gone: Vec<HeaderName> =
        headers.keys().filter(|name| is_hop_by_hop(name.as_str()) && !stays(name.as_str())).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(request: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in request {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove_from_request(&mut headers);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        left.sort();
        left
    }

    #[test]
    fn what_is_for_one_connection_stays_there() {
        let request = [
            ("connection", "keep-alive, X-Once"),
            ("connection", "x-twice"),
            ("x-once", "1"),
            ("x-twice", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic eDp5"),
            ("proxy-connection", "keep-alive"),
            ("proxy", "http://evil"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
            ("content-length", "3"),
        ];
        assert_eq!(after(&request), ["accept: */*", "content-length: 3"]);
    }

    #[test]
    fn imitations_of_framing_headers_go() {
        let request = [("transfer_encoding", "chunked"), ("content_length", "5"), ("con.nection", "x"), ("host_", "x")];
        assert_eq!(after(&request), ["con.nection: x", "host_: x"]);
    }

    #[test]
    fn of_te_only_trailers_is_kept() {
        assert_eq!(after(&[("te", "gzip, Trailers;q=1, trailers")]), ["te: trailers"]);
        assert_eq!(after(&[("te", "trailers"), ("connection", "TE")]), ["te: trailers"]);
        assert_eq!(after(&[("te", "gzip")]), Vec::<String>::new());
    }

    #[test]
    fn f05_trailers_are_announced_without_those_that_claim_something() {
        let request = [("trailer", "Grpc-Status, Content-Length, X_Forwarded_For"), ("trailer", "x-sum")];
        assert_eq!(after(&request), ["trailer: Grpc-Status, x-sum"]);
        assert_eq!(after(&[("trailer", "transfer-encoding")]), Vec::<String>::new());
    }

    #[test]
    fn a_connection_header_that_is_no_list_of_names_harms_nothing() {
        assert_eq!(after(&[("connection", ",, ;x=\"1\", a b"), ("accept", "*/*")]), ["accept: */*"]);
    }
}
