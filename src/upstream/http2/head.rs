//! A request's head as HTTP/2 has it (RFC 9113, section 8.3.1).

use http::header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Parts as UriParts, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version, request};

use super::super::interim;
use super::super::request::RequestBody;
use crate::model::Denial;
use crate::model::denial::Reason;

/// `Host` becomes `:authority`, and nothing stays that belongs to a connection of HTTP/1.1 (section 8.2.2). Hop-by-hop
/// headers of the client's are gone by now; these are those that were put there for HTTP/1.1.
pub(in super::super) fn translate(head: request::Parts, tls: bool) -> Result<Request<()>, Denial> {
    let mut request = Request::from_parts(head, ());
    let headers = request.headers_mut();
    let host = headers.remove(HOST);
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|te| te != HeaderValue::from_static("trailers")) {
        headers.remove(TE);
    }
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let Some(authority) = authority else {
        return Err(Denial::because(Reason::InvalidHost, "`Host` cannot be an `:authority`"));
    };
    let mut parts = UriParts::default();
    parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(authority);
    parts.path_and_query =
        Some(request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    *request.uri_mut() =
        Uri::from_parts(parts).map_err(|_| Denial::because(Reason::Internal, "a target that is no URI"))?;
    *request.version_mut() = Version::HTTP_2;
    Ok(request)
}

/// A head to send again, as it was before it was translated.
pub(in super::super) struct Spare(Request<()>);

impl Spare {
    pub(in super::super) fn of(request: &Request<RequestBody>) -> Self {
        let mut spare = Request::new(());
        *spare.method_mut() = request.method().clone();
        *spare.uri_mut() = request.uri().clone();
        *spare.version_mut() = request.version();
        *spare.headers_mut() = request.headers().clone();
        interim::copy(request, &mut spare);
        Self(spare)
    }

    /// The request once more, with this body.
    pub(in super::super) fn with(self, body: RequestBody) -> Request<RequestBody> {
        self.0.map(|()| body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(request: request::Builder) -> Result<Request<()>, Denial> {
        translate(request.body(()).unwrap().into_parts().0, true)
    }

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let request = Request::get("/a%20b?c=%2F")
            .header("host", "a.example:8443")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("transfer-encoding", "chunked")
            .header("te", "trailers")
            .header("cookie", "a=1; b=2");
        let request = translated(request).unwrap();
        assert_eq!(request.uri().to_string(), "https://a.example:8443/a%20b?c=%2F");
        let mut left: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["cookie", "te"]);
        let te = translated(Request::get("/").header("host", "a").header("te", "gzip")).unwrap();
        assert!(te.headers().is_empty());
    }

    #[test]
    fn the_whole_server_is_a_target() {
        let request = translated(Request::options("*").header("host", "a")).unwrap();
        assert_eq!(request.uri().path_and_query().unwrap(), "*");
    }

    #[test]
    fn a_host_that_is_none_is_refused() {
        for host in ["", "a b", "a\\b"] {
            assert!(translated(Request::get("/").header("host", host)).is_err(), "{host:?}");
        }
        assert!(translated(Request::get("/")).is_err());
    }
}
