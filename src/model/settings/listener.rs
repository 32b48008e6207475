//! `[listener.NAME]`: where clients connect.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;

use super::TlsSettings;

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Its name.
    pub name: Arc<str>,
    /// Where.
    pub bind: Bind,
    /// What it does.
    pub serve: Serve,
    /// What browsers call it; `None`: whatever `Host` says.
    pub public_origin: Option<Origin>,
    /// Peers whose `X-Forwarded-*` and `Forwarded` count. Nobody by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether peers on a Unix socket are trusted (`"unix:"` in the list).
    pub trust_unix: bool,
    /// How long the header of the PROXY protocol may take that every connection must begin with; `None`: there is none.
    pub proxy_protocol: Option<Duration>,
    /// TLS; `None`: clear text.
    pub tls: Option<TlsSettings>,
    /// `Strict-Transport-Security` of every answer over TLS (RFC 6797); `None`: what the upstream says.
    pub hsts: Option<HeaderValue>,
    /// Timeouts and caps.
    pub limits: HttpLimits,
}

/// What a listener does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    /// It serves routes.
    Proxy,
    /// It sends clients to the same host and target by HTTPS.
    RedirectToHttps {
        /// Where that is served.
        port: u16,
    },
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// Address and port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Scheme, host and port of a web origin (RFC 6454), lower case, without a default port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `https` rather than `http`.
    pub https: bool,
    /// Host, lower case.
    pub host: Arc<str>,
    /// Port, the scheme's default filled in.
    pub port: u16,
}

impl Origin {
    /// Reads an origin as browsers serialize it: `scheme://host[:port]`, nothing after.
    pub fn parse(text: &str) -> Option<Self> {
        let (https, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let default = if https { 443 } else { 80 };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !rest.ends_with(']') => {
                (host, port.parse().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit()))?)
            }
            _ => (rest, default),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let fits = |b: u8| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'-' | b'.' | b'_')
                || (bracketed && matches!(b, b':' | b'[' | b']'))
        };
        (!host.is_empty() && host.bytes().all(fits)).then(|| Self {
            https,
            host: host.to_ascii_lowercase().into(),
            port,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Timeouts and caps of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// For a whole request head, from its first byte; on a new connection, from its beginning.
    pub header_timeout: Duration,
    /// After which a connection without requests is closed.
    pub idle_timeout: Duration,
    /// For a client to take more of an answer that waits for it; then its stream is reset, or its connection closed.
    pub send_timeout: Duration,
    /// Connections at once, all workers together.
    pub max_connections: usize,
    /// Header fields of one request.
    pub max_headers: usize,
    /// Bytes of one request head.
    pub max_header_bytes: usize,
    /// Concurrent streams of one HTTP/2 connection.
    pub max_streams: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            send_timeout: Duration::from_secs(60),
            max_connections: 10_000,
            max_headers: 100,
            max_header_bytes: 16 * 1024,
            max_streams: 128,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        assert_eq!(Origin::parse("https://A.example").map(|o| o.to_string()).as_deref(), Some("https://a.example"));
        assert_eq!(Origin::parse("https://a.example:443"), Origin::parse("https://a.example"));
        assert_eq!(Origin::parse("http://[::1]:8080").map(|o| o.port), Some(8080));
        assert_eq!(Origin::parse("http://[::1]").map(|o| o.port), Some(80));
        for bad in [
            "null",
            "",
            "https://",
            "https://a/",
            "https://a.example/x",
            "ftp://a",
            "https://u@a",
            "https://a:b",
            "https://a:+1",
            "https://a b",
        ] {
            assert_eq!(Origin::parse(bad), None, "{bad}");
        }
    }
}
