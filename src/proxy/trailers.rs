//! Trailers of answers to HTTP/1.1 clients.

use http::header::TRAILER;
use http::{HeaderMap, HeaderValue, Version};

use super::denial::grpc_content_type;

/// Announces those of gRPC, which names none in `Trailer` because HTTP/2 does not need it. In HTTP/1.1 hyper sends only
/// what is announced, and only to a client that asked for trailers.
pub(super) fn announce(headers: &mut HeaderMap, client: Version) {
    if client < Version::HTTP_2
        && !headers.contains_key(TRAILER)
        && grpc_content_type(headers) == Some("application/grpc")
    {
        headers.insert(TRAILER, HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin"));
    }
}
