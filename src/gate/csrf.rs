//! Stage 6: ambient credentials on unsafe methods and upgrades.
//!
//! A browser sends cookies and certificates with whatever any page makes it send, so those count only where the request
//! comes from our own pages: `Sec-Fetch-Site` of `same-origin` or `none` passes; otherwise `Origin` must be the public
//! origin or one of the route's `origins`. With neither header it is no browser of today: a session is refused, a
//! certificate passes. What a route's `cors` allows is no part of this: to let a page read is not to let it change.

use http::header::{CONNECTION, ORIGIN, UPGRADE};
use http::{HeaderMap, Method};

use super::CheckRequest;
use super::route::Host;
use crate::model::denial::Reason;
use crate::model::settings::{Origin, RouteSettings};
use crate::model::{CredentialKind, Denial, Identity};

/// Refuses cross-site use of an ambient credential.
pub(in crate::gate) fn check(
    request: &CheckRequest<'_>,
    host: &Host<'_>,
    route: &RouteSettings,
    identity: &Identity,
) -> Result<(), Denial> {
    let Some(kind) = identity.verified().map(|v| v.kind).filter(|kind| kind.is_ambient()) else { return Ok(()) };
    if is_safe(request.method) && !wants_upgrade(request.headers) {
        return Ok(());
    }
    let site = Sole::of(request.headers, "sec-fetch-site");
    if matches!(site, Sole::Value("same-origin" | "none")) {
        return Ok(());
    }
    match Sole::of(request.headers, ORIGIN.as_str()) {
        Sole::Value(origin) if is_allowed(origin, request, host, route) => Ok(()),
        Sole::Absent if site == Sole::Absent && kind != CredentialKind::Session => Ok(()),
        origin => Err(Denial::because(
            Reason::CrossSite,
            format!("{kind} used with Origin {}, Sec-Fetch-Site {}", origin.for_log(), site.for_log()),
        )),
    }
}

/// Methods that change nothing (RFC 9110, section 9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the connection may become something else, which no method's name limits.
fn wants_upgrade(headers: &HeaderMap) -> bool {
    let named = |value: &http::HeaderValue| {
        value.as_bytes().split(|b| *b == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    };
    headers.contains_key(UPGRADE) || headers.get_all(CONNECTION).iter().any(named)
}

fn is_allowed(origin: &str, request: &CheckRequest<'_>, host: &Host<'_>, route: &RouteSettings) -> bool {
    let Some(origin) = Origin::parse(origin) else { return false };
    let own = match request.public_origin {
        Some(public) => origin == *public,
        None => {
            let https = request.client.https;
            let port = host.port.unwrap_or(if https { 443 } else { 80 });
            origin.https == https && *origin.host == *host.name && origin.port == port
        }
    };
    own || route.origins.contains(&origin)
}

/// A header that should stand once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sole<'a> {
    Absent,
    Value(&'a str),
    /// Several, or one that is no text: it says nothing that could be trusted.
    Unclear,
}

impl<'a> Sole<'a> {
    fn of(headers: &'a HeaderMap, name: &str) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => value.to_str().map_or(Self::Unclear, Self::Value),
            _ => Self::Unclear,
        }
    }

    fn for_log(self) -> String {
        match self {
            Self::Absent => "absent".to_owned(),
            Self::Value(value) => format!("`{}`", value.escape_default()),
            Self::Unclear => "unclear".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixtures;
    use crate::model::Timestamp;
    use std::sync::Arc;

    struct Asked {
        method: &'static str,
        kind: Option<CredentialKind>,
        headers: &'static [(&'static str, &'static str)],
        https: bool,
        host: &'static str,
        public: Option<&'static str>,
    }

    const UNSAFE: Asked = Asked {
        method: "POST",
        kind: Some(CredentialKind::Session),
        headers: &[],
        https: true,
        host: "App.example",
        public: None,
    };

    fn passes(asked: &Asked) -> bool {
        let method = Method::from_bytes(asked.method.as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in asked.headers {
            headers.append(*name, value.parse().unwrap());
        }
        let client = crate::model::Client { https: asked.https, ..fixtures::client("127.0.0.1") };
        let public = asked.public.map(|text| Origin::parse(text).unwrap());
        let request = CheckRequest {
            listener: "main",
            method: &method,
            target: "/",
            host: asked.host,
            headers: &headers,
            client: &client,
            public_origin: public.as_ref(),
            now: Timestamp(0),
        };
        let route =
            RouteSettings { origins: vec![Origin::parse("https://other.example").unwrap()], ..fixtures::route() };
        let identity =
            asked.kind.map_or(Identity::Anonymous, |kind| Identity::Verified(Arc::new(fixtures::verified(kind))));
        match check(&request, &Host::parse(asked.host).unwrap(), &route, &identity) {
            Ok(()) => true,
            Err(denial) => {
                assert_eq!(denial.reason, Reason::CrossSite);
                false
            }
        }
    }

    #[test]
    fn a_cookie_counts_only_from_our_own_pages() {
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "")], false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
            (&[("origin", "https://app.example")], true),
            (&[("origin", "https://APP.example:443")], true),
            (&[("origin", "https://other.example")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://other.example")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "http://app.example")], false),
            (&[("origin", "https://app.example:8443")], false),
            (&[("origin", "https://app.example.evil.example")], false),
            (&[("origin", "https://app.example/")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (&[("origin", "https://app.example"), ("origin", "https://app.example")], false),
        ];
        for (headers, expected) in cases {
            assert_eq!(passes(&Asked { headers, ..UNSAFE }), *expected, "{headers:?}");
        }
    }

    #[test]
    fn only_unsafe_methods_and_upgrades_are_asked() {
        for (method, expected) in
            [("GET", true), ("HEAD", true), ("OPTIONS", true), ("POST", false), ("DELETE", false), ("QUERY", false)]
        {
            assert_eq!(passes(&Asked { method, ..UNSAFE }), expected, "{method}");
        }
        let upgrades: [&[(&str, &str)]; 3] =
            [&[("upgrade", "websocket")], &[("connection", "keep-alive, Upgrade")], &[("upgrade", "h2c")]];
        for headers in upgrades {
            assert!(!passes(&Asked { method: "GET", headers, ..UNSAFE }), "{headers:?}");
        }
    }

    #[test]
    fn only_ambient_credentials_are_asked() {
        for kind in [None, Some(CredentialKind::Jwt), Some(CredentialKind::ApiKey)] {
            assert!(passes(&Asked { kind, headers: &[("origin", "https://evil.example")], ..UNSAFE }), "{kind:?}");
        }
        let mtls = Asked { kind: Some(CredentialKind::Mtls), ..UNSAFE };
        assert!(passes(&mtls), "no browser sent this");
        assert!(!passes(&Asked { headers: &[("origin", "https://evil.example")], ..mtls }));
        assert!(!passes(&Asked { headers: &[("origin", "null")], ..mtls }));
        assert!(!passes(&Asked { headers: &[("sec-fetch-site", "cross-site")], ..mtls }));
    }

    #[test]
    fn a_configured_public_origin_replaces_what_host_says() {
        let public = Asked { public: Some("https://public.example:8443"), https: false, ..UNSAFE };
        assert!(passes(&Asked { headers: &[("origin", "https://public.example:8443")], ..public }));
        assert!(!passes(&Asked { headers: &[("origin", "http://app.example")], ..public }));
        let port = Asked { host: "app.example:8080", https: false, ..UNSAFE };
        assert!(passes(&Asked { headers: &[("origin", "http://app.example:8080")], ..port }));
        assert!(!passes(&Asked { headers: &[("origin", "http://app.example")], ..port }));
        assert!(passes(&Asked { host: "app.example:443", headers: &[("origin", "https://app.example")], ..UNSAFE }));
        assert!(passes(&Asked { host: "[::1]:8443", headers: &[("origin", "https://[::1]:8443")], ..UNSAFE }));
    }
}
