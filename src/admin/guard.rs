//! Who may use the operations.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, StatusCode, Uri, header};

use crate::model::Secret;

/// What a listener of operations demands of each request.
#[derive(Debug)]
pub enum Guard {
    /// A Unix socket: the file's permissions have decided already.
    Owner,
    /// TCP: a bearer token, and a `Host` that no foreign name can lead to (DNS rebinding).
    Token {
        /// Where it listens.
        bind: SocketAddr,
        /// What callers must present.
        token: Secret<String>,
    },
}

/// Why a request is not let in.
pub type Refusal = (StatusCode, &'static str);

impl Guard {
    /// Lets a request in, or says why not. Whatever a web page can make a browser send is refused everywhere.
    pub fn admit(&self, target: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        if target.authority().is_some() {
            return Err((StatusCode::BAD_REQUEST, "the request target must be a path"));
        }
        if headers.contains_key(header::ORIGIN) {
            return Err((StatusCode::FORBIDDEN, "requests of web pages are not served"));
        }
        match self {
            Self::Owner => Ok(()),
            Self::Token { bind, token } => {
                if !single(headers, &header::HOST).is_some_and(|host| names(host, *bind)) {
                    return Err((StatusCode::FORBIDDEN, "the Host must be the address of this listener"));
                }
                match single(headers, &header::AUTHORIZATION).and_then(bearer) {
                    Some(presented) if token.matches(presented.as_bytes()) => Ok(()),
                    _ => Err((StatusCode::UNAUTHORIZED, "the admin token is required")),
                }
            }
        }
    }
}

/// The value of a header that is there exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// The token of a `Bearer` credential (RFC 6750, section 2.1; the scheme's case does not count).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Whether `host` is an address (or `localhost`, which no resolver is asked for) of a listener bound there.
fn names(host: &str, bind: SocketAddr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && !host.ends_with(']') => {
            if port.parse() != Ok(bind.port()) {
                return false;
            }
            name
        }
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let any = bind.ip().is_unspecified();
    match name.parse::<IpAddr>() {
        Ok(address) => any || address == bind.ip(),
        Err(_) => name.eq_ignore_ascii_case("localhost") && (any || bind.ip().is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn status(pairs: &[(&'static str, &'static str)]) -> u16 {
        let guard = Guard::Token { bind: "127.0.0.1:9901".parse().unwrap(), token: Secret::new("s3cret".to_owned()) };
        guard.admit(&Uri::from_static("/v1/keys"), &headers(pairs)).map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn f64_the_right_token_at_the_right_host_is_let_in() {
        for host in ["127.0.0.1:9901", "127.0.0.1", "localhost:9901", "LOCALHOST"] {
            assert_eq!(status(&[("host", host), ("authorization", "Bearer s3cret")]), 200, "{host}");
        }
    }

    #[test]
    fn f64_without_the_token_nobody_is_let_in() {
        let host = ("host", "127.0.0.1:9901");
        for authorization in ["Bearer s3cre", "Bearer s3crets", "Bearer ", "Basic s3cret", "s3cret", "Bearer  s3cret"] {
            assert_eq!(status(&[host, ("authorization", authorization)]), 401, "{authorization}");
        }
        assert_eq!(status(&[host]), 401);
        assert_eq!(status(&[host, ("authorization", "Bearer s3cret"), ("authorization", "Bearer s3cret")]), 401);
    }

    #[test]
    fn f64_foreign_hosts_and_web_pages_are_refused_even_with_the_token() {
        let token = ("authorization", "Bearer s3cret");
        for host in ["evil.example:9901", "127.0.0.1.evil.example", "127.0.0.2:9901", "127.0.0.1:80", "", "[::1]:9901"]
        {
            assert_eq!(status(&[("host", host), token]), 403, "{host}");
        }
        assert_eq!(status(&[token]), 403);
        assert_eq!(status(&[("host", "127.0.0.1:9901"), ("host", "evil.example"), token]), 403);
        assert_eq!(status(&[("host", "127.0.0.1:9901"), token, ("origin", "http://127.0.0.1:9901")]), 403);
        assert_eq!(status(&[("host", "127.0.0.1:9901"), token, ("origin", "null")]), 403);
    }

    #[test]
    fn f64_web_pages_are_refused_on_the_socket_too() {
        let target = Uri::from_static("/v1/keys");
        assert!(Guard::Owner.admit(&target, &headers(&[("origin", "https://evil.example")])).is_err());
        assert!(Guard::Owner.admit(&target, &headers(&[("host", "portcullis")])).is_ok());
    }

    #[test]
    fn ipv6_hosts_are_compared_as_addresses() {
        let bind = "[::1]:9901".parse().unwrap();
        assert!(names("[::1]:9901", bind));
        assert!(names("[0:0::1]", bind));
        assert!(names("localhost:9901", bind));
        assert!(!names("[::2]:9901", bind));
        assert!(names("10.1.2.3:9901", "0.0.0.0:9901".parse().unwrap()));
        assert!(!names("pod.example:9901", "0.0.0.0:9901".parse().unwrap()));
    }
}
