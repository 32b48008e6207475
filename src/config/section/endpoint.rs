//! Addresses of upstreams.

use url::{Host, Url};

use crate::config::report::Fault;
use crate::model::settings::{Endpoint, Scheme};

/// Longest path of a Unix socket, in bytes: what the kernel takes, without the NUL at its end.
const MAX_SOCKET_PATH: usize = 107;

/// Whether this is an address rather than a name.
pub(super) fn is_url(text: &str) -> bool {
    text.contains("://") || text.starts_with("unix:")
}

/// What `http://HOST[:PORT]` and the like say.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, Fault> {
    let wrong = |what: &str| Fault::new(what).help("\"http://127.0.0.1:3000\" or \"https://orders.internal\"");
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path);
    }
    // To a parser of URLs it is as good as HTTP.
    let (scheme, text) = match text.strip_prefix("h2c://") {
        Some(rest) => (Scheme::H2c, format!("http://{rest}")),
        None => (Scheme::Http, text.to_owned()),
    };
    let url = Url::parse(&text).map_err(|_| wrong("not a URL"))?;
    let scheme = match url.scheme() {
        "http" => scheme,
        "https" => Scheme::Https,
        other @ ("grpc" | "grpcs" | "h2") => {
            let fault = Fault::new(format!("`{other}:` is no scheme of an endpoint"));
            return Err(fault.help("\"h2c://127.0.0.1:50051\" without TLS, \"https://orders.internal\" with it"));
        }
        _ => return Err(wrong("not an `http:`, `https:`, `h2c:` or `unix:` URL")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("an endpoint has no user or password"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("an endpoint has no path: requests keep the one they came with"));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').to_ascii_lowercase(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    };
    let port = url.port_or_known_default().filter(|port| *port != 0);
    match port {
        Some(port) if !host.is_empty() => Ok(Endpoint { scheme, host: host.into(), port, weight: 1 }),
        _ => Err(wrong("no host and port")),
    }
}

/// `unix:PATH`.
fn socket(path: &str) -> Result<Endpoint, Fault> {
    let wrong = |what: String| Fault::new(what).help("\"unix:/run/app.sock\"");
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(wrong("`unix:` wants an absolute path".to_owned()));
    }
    if path.len() > MAX_SOCKET_PATH || path.contains('\0') {
        return Err(wrong(format!("a socket's path has at most {MAX_SOCKET_PATH} bytes, and no NUL")));
    }
    Ok(Endpoint { scheme: Scheme::Unix, host: path.into(), port: 0, weight: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_says_what_is_spoken_there() {
        for (text, scheme, host, port, authority) in [
            ("http://A.example", Scheme::Http, "a.example", 80, "a.example"),
            ("https://a.example.", Scheme::Https, "a.example", 443, "a.example"),
            ("https://[::1]:8443/", Scheme::Https, "::1", 8443, "[::1]:8443"),
            ("h2c://A.example:50051", Scheme::H2c, "a.example", 50051, "a.example:50051"),
            ("h2c://127.0.0.1", Scheme::H2c, "127.0.0.1", 80, "127.0.0.1"),
            ("unix:/run/app.sock", Scheme::Unix, "/run/app.sock", 0, "localhost"),
        ] {
            let found = endpoint(text).unwrap();
            assert_eq!(found, Endpoint { scheme, host: host.into(), port, weight: 1 }, "{text}");
            assert_eq!(found.authority(), authority);
            assert_eq!(endpoint(&found.to_string()).unwrap(), found);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        let long = format!("unix:/{}", "x".repeat(107));
        for text in [
            "",
            "a:80",
            "grpc://a",
            "h2://a",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://u@a",
            "http://:p@a",
            "http://a/x",
            "http://a?x",
            "http://a#x",
            "h2c://",
            "h2c://u@a",
            "h2c://a/x",
            "h2c:a",
            "unix:",
            "unix:app.sock",
            &long,
            "unix://run/app.sock",
            "unix:/a\0b",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }
}
