//! Addresses of upstreams.

use url::{Host, Url};

use crate::config::report::Fault;
use crate::model::settings::{Endpoint, Scheme};

/// Whether this is an address rather than a name.
pub(super) fn is_url(text: &str) -> bool {
    text.contains("://") || text.starts_with("unix:")
}

/// What `http://HOST[:PORT]` and the like say.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, Fault> {
    let wrong = |what: &str| Fault::new(what).help("\"http://127.0.0.1:3000\" or \"https://orders.internal\"");
    let scheme = text.split(':').next().unwrap_or_default();
    if matches!(scheme, "h2c" | "unix" | "grpc" | "fcgi") {
        return Err(wrong(&format!("`{scheme}:` endpoints are not available in this version")));
    }
    let url = Url::parse(text).map_err(|_| wrong("not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("not an `http:` or `https:` URL"));
    }
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
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    match port {
        Some(port) if !host.is_empty() => Ok(Endpoint { scheme, host: host.into(), port, weight: 1 }),
        _ => Err(wrong("no host and port")),
    }
}
