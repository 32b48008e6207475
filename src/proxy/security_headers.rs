//! What an answer tells browsers to be careful about, where the upstream has not said anything of its own.

use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

use crate::edge::Connection;

/// Adds the standard ones.
pub(super) fn add_standard(headers: &mut HeaderMap) {
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("strict-origin-when-cross-origin"));
    // A policy may say in `frame-ancestors` who frames it; one that does not has its reasons.
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.entry(X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    }
}

/// Over TLS alone: elsewhere it must not be sent (RFC 6797, section 7.2).
pub(super) fn add_hsts(headers: &mut HeaderMap, connection: &Connection) {
    if let (Some(hsts), true) = (&connection.listener.hsts, connection.tls) {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert_with(|| hsts.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(given: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers: HeaderMap = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        add_standard(&mut headers);
        let mut lines: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_the_upstream_says_stays() {
        let (nosniff, referrer) =
            ("x-content-type-options: nosniff", "referrer-policy: strict-origin-when-cross-origin");
        assert_eq!(added(&[]), [referrer, nosniff, "x-frame-options: DENY"]);
        assert_eq!(added(&[("x-frame-options", "SAMEORIGIN")]), [referrer, nosniff, "x-frame-options: SAMEORIGIN"]);
        assert_eq!(
            added(&[("content-security-policy", "default-src 'self'")]),
            ["content-security-policy: default-src 'self'", referrer, nosniff]
        );
        // Several lines of its own stay several.
        assert_eq!(
            added(&[("referrer-policy", "no-referrer"), ("referrer-policy", "same-origin")]),
            ["referrer-policy: no-referrer", "referrer-policy: same-origin", nosniff, "x-frame-options: DENY"]
        );
    }
}
