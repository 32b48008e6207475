//! What a permitted request's headers become on their way to the upstream, and what a request is taken to be for.

use std::net::SocketAddr;

use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version, uri};

use super::{edits, forwarded, hop_by_hop, upgrade};
use crate::gate::Permit;
use crate::model::denial::Reason;
use crate::model::settings::RouteChanges;
use crate::model::{Client, DecisionId, Denial};

/// Names a request through all its hops.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken over from a trusted proxy.
const MAX_REQUEST_ID: usize = 128;

/// The host that a request is for: `Host`, or `:authority` where HTTP/2 or an absolute-form has it. Two that differ, or
/// two `Host` headers, could be read as two different requests by two readers.
pub(super) fn host<B>(request: &Request<B>) -> Result<HeaderValue, Denial> {
    let mut values = request.headers().get_all(HOST).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(Denial::because(Reason::InvalidHost, "several `Host` headers"));
    }
    let authority = request.uri().authority();
    let host = match (header, authority) {
        (None, None) => return Err(Denial::because(Reason::InvalidHost, "no `Host`")),
        (Some(header), None) => header.clone(),
        (header, Some(authority)) => {
            if header.is_some_and(|header| !header.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())) {
                return Err(Denial::because(Reason::InvalidHost, "`Host` and the target's authority differ"));
            }
            HeaderValue::from_str(authority.as_str()).map_err(|_| Denial::new(Reason::InvalidHost))?
        }
    };
    let fits = |text: &str| !text.is_empty() && !text.contains(['@', '/', '?', '#', '\\', ',', ' ', '"']);
    if host.to_str().is_ok_and(fits) {
        Ok(host)
    } else {
        Err(Denial::because(Reason::InvalidHost, "`Host` is no host"))
    }
}

/// Who asks, with the port of the connection where that is the client's own.
pub(super) fn socket_address(client: &Client) -> SocketAddr {
    let own = client.peer.filter(|peer| peer.ip().to_canonical() == client.address.to_canonical());
    SocketAddr::new(client.address, own.map_or(0, |peer| peer.port()))
}

/// Path and query as sent; `*` as it is.
pub(super) fn target(uri: &uri::Uri) -> &str {
    uri.path_and_query().map_or("/", uri::PathAndQuery::as_str)
}

/// The name that this request goes by: a trusted proxy's, where it is clean; else the decision's.
pub(super) fn request_id(headers: &HeaderMap, client: &Client, id: DecisionId) -> HeaderValue {
    let mut said = headers.get_all(REQUEST_ID).iter();
    if let (true, Some(said), None) = (client.trusted, said.next(), said.next())
        && is_clean_id(said.as_bytes())
    {
        return said.clone();
    }
    HeaderValue::try_from(id.to_string()).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

fn is_clean_id(id: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// What the upstream may be told besides who it is.
pub(super) struct Told<'a> {
    pub(super) client: &'a Client,
    pub(super) host: &'a HeaderValue,
    pub(super) request_id: &'a HeaderValue,
    /// Whether the request asks for a WebSocket in good form.
    pub(super) websocket: bool,
    pub(super) version: Version,
}

/// Makes headers what the upstream may see. The order matters: what belonged to the client's connection goes first, the
/// identity comes last, so that nothing a client sends can remove or repeat it (f05), and nothing that a route edits.
pub(super) fn prepare(headers: &mut HeaderMap, told: &Told<'_>, permit: &Permit) {
    prepare_without_identity(headers, told, &permit.route().changes);
    permit.rewrite_headers(headers);
}

fn prepare_without_identity(headers: &mut HeaderMap, told: &Told<'_>, changes: &RouteChanges) {
    hop_by_hop::remove_from_request(headers);
    if told.version >= Version::HTTP_2 {
        join_crumbs(headers);
    }
    edits::apply(&changes.request_headers, headers);
    headers.insert(HOST, changes.host.as_ref().unwrap_or(told.host).clone());
    forwarded::set(headers, told.client, told.host.to_str().unwrap_or_default());
    headers.insert(REQUEST_ID, told.request_id.clone());
    if told.websocket {
        upgrade::ask(headers);
    }
}

/// HTTP/2 may send one cookie a line; HTTP/1.1 has one line (RFC 9113, section 8.2.3).
fn join_crumbs(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    headers.remove(COOKIE);
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::get(uri).body(()).unwrap();
        for host in hosts {
            request.headers_mut().append(HOST, HeaderValue::from_str(host).unwrap());
        }
        request
    }

    fn client(trusted: bool) -> Client {
        Client { peer: None, address: [192, 0, 2, 1].into(), trusted, https: false, certificate: None }
    }

    #[test]
    fn the_host_is_said_once() {
        assert_eq!(host(&request("/", &["a.example:8443"])).unwrap(), "a.example:8443");
        assert_eq!(host(&request("https://a.example/", &[])).unwrap(), "a.example");
        assert_eq!(host(&request("https://A.example/", &["a.example"])).unwrap(), "A.example");
        for (uri, hosts) in [
            ("/", &[][..]),
            ("/", &["a", "a"]),
            ("/", &["a", "b"]),
            ("/", &[""]),
            ("/", &["a b"]),
            ("/", &["a,b"]),
            ("/", &["u@a"]),
            ("/", &["a/b"]),
            ("https://a.example/", &["b.example"]),
            ("https://a.example/", &["a.example", "a.example"]),
            ("https://u@a.example/", &[]),
        ] {
            assert_eq!(host(&request(uri, hosts)).unwrap_err().reason, Reason::InvalidHost, "{uri} {hosts:?}");
        }
    }

    #[test]
    fn the_target_is_what_was_sent() {
        for uri in ["/", "/a/%2e%2E/b?x=/c&y=%zz", "/%C3%A4;v=1?", "*"] {
            assert_eq!(target(&uri.parse().unwrap()), uri);
        }
        assert_eq!(target(&"https://a.example".parse().unwrap()), "/");
    }

    #[test]
    fn f11_only_a_trusted_proxy_names_requests_and_only_cleanly() {
        let id = DecisionId::from_bytes([7; 16]);
        let ours = id.to_string();
        let named = |client: &Client, values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(REQUEST_ID, HeaderValue::from_str(value).unwrap());
            }
            request_id(&headers, client, id).to_str().unwrap().to_owned()
        };
        assert_eq!(named(&client(true), &["abc-1.2_3"]), "abc-1.2_3");
        assert_eq!(named(&client(false), &["abc"]), ours);
        assert_eq!(named(&client(true), &["abc", "abc"]), ours);
        assert_eq!(named(&client(true), &[]), ours);
        for dirty in ["", "a b", "a\"b", "a=b", &"x".repeat(129)] {
            assert_eq!(named(&client(true), &[dirty]), ours, "{dirty:?}");
        }
    }

    #[test]
    fn cookie_crumbs_become_one_line() {
        let mut headers = HeaderMap::new();
        for crumb in ["a=1", "b=2", "c=3"] {
            headers.append(COOKIE, HeaderValue::from_static(crumb));
        }
        let told = Told {
            client: &client(false),
            host: &HeaderValue::from_static("a"),
            request_id: &HeaderValue::from_static("id"),
            websocket: false,
            version: Version::HTTP_2,
        };
        prepare_without_identity(&mut headers, &told, &RouteChanges::default());
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
        assert_eq!((&headers[HOST], &headers[REQUEST_ID]), (told.host, told.request_id));
    }
}
