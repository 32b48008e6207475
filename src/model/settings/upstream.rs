//! `[upstream.NAME]`: what is behind.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::{CertificateFiles, CredentialSettings, EndpointHealth, UpstreamLimits};

/// A named service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name; for one that a route names by URL, that URL.
    pub name: Arc<str>,
    /// Its addresses; never empty, and no more than 64.
    pub endpoints: Vec<Endpoint>,
    /// Which of them gets a request.
    pub balance: Balance,
    /// What it is told as `Host`.
    pub host_header: HostHeader,
    /// Timeouts.
    pub timeouts: UpstreamTimeouts,
    /// What is sent again after a failure.
    pub retries: Retries,
    /// Which of its endpoints may get requests.
    pub health: EndpointHealth,
    /// Idle connections kept per worker and endpoint.
    pub max_idle: usize,
    /// Connections at once per worker and endpoint.
    pub max_connections: usize,
    /// Which HTTP is spoken with `https` endpoints.
    pub http: HttpVersion,
    /// How often the names of its endpoints are looked up; `None`: for each connection.
    pub dns_refresh: Option<Duration>,
    /// How much it is given at once.
    pub limits: UpstreamLimits,
    /// How `https` endpoints are verified.
    pub tls: UpstreamTls,
    /// How it is told whose each connection is; `None`: not at all.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// What Portcullis itself shows it; `None`: nothing.
    pub credential: Option<CredentialSettings>,
}

/// A version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Which HTTP is spoken over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 where the endpoint agrees (ALPN, RFC 7301), and HTTP/1.1 otherwise and where a request needs it.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, or nothing.
    Http2,
}

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// What is spoken there.
    pub scheme: Scheme,
    /// Name or address, lower case, IPv6 without brackets; of [`Scheme::Unix`] the socket's path.
    pub host: Arc<str>,
    /// Port; 0 for a Unix socket.
    pub port: u16,
    /// Its share of the requests, against the weights of the others; not 0.
    pub weight: u32,
}

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in clear text.
    Http,
    /// HTTP over TLS.
    Https,
    /// HTTP/2 in clear text, by prior knowledge (RFC 9113, section 3.3).
    H2c,
    /// HTTP/1.1 over a Unix socket.
    Unix,
}

impl Endpoint {
    /// `host[:port]` as `Host` wants it: brackets around IPv6, no default port; `localhost` for a Unix socket.
    pub fn authority(&self) -> String {
        let default = match self.scheme {
            Scheme::Http | Scheme::H2c => 80,
            Scheme::Https => 443,
            Scheme::Unix => return "localhost".to_owned(),
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether its host is a name to look up, rather than an address or a socket.
    pub fn has_name(&self) -> bool {
        self.scheme != Scheme::Unix && self.host.parse::<IpAddr>().is_err()
    }

    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }
}

impl std::fmt::Display for Endpoint {
    /// As in a configuration.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.scheme {
            Scheme::Http => write!(f, "http://{}", self.authority()),
            Scheme::Https => write!(f, "https://{}", self.authority()),
            Scheme::H2c => write!(f, "h2c://{}", self.authority()),
            Scheme::Unix => write!(f, "unix:{}", self.host),
        }
    }
}

/// How requests are spread over endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// In turn.
    RoundRobin,
    /// Of two that are drawn, the one with fewer requests of this worker.
    LeastRequests,
    /// By something of the request, always the same; in turn where the request has none of it.
    Hash(HashKey),
}

/// What of a request decides its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    ClientAddress,
    /// The first value of a header, as the upstream sees it.
    Header(HeaderName),
    /// A cookie, as the upstream sees it.
    Cookie(Arc<str>),
}

/// What the upstream is told as `Host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostHeader {
    /// What the client said.
    Preserve,
    /// The endpoint's own name.
    Endpoint,
}

/// Timeouts towards an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// From the request's end to the head of the answer.
    pub response: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// After how long a silence an HTTP/2 connection with requests under way is asked whether it is alive.
    pub ping: Duration,
    /// Until the head of the answer, all tries together; `None`: as long as each of them may take.
    pub total: Option<Duration>,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(2), response: seconds(30), idle: seconds(50), ping: seconds(300), total: None }
    }
}

/// What is sent again after a failure, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How many more endpoints may be tried when nothing was sent to the first; with 0 nothing is sent again at all.
    pub attempts: u32,
    /// Such tries per hundred requests, beyond a small reserve.
    pub budget_percent: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 1, budget_percent: 20 }
    }
}

/// How `https` endpoints are verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The name to expect instead of the endpoint's host.
    pub server_name: Option<Arc<str>>,
    /// What we show who we are with.
    pub certificate: Option<CertificateFiles>,
    /// Of which the certificate must carry one, instead of the endpoint's host; empty: that host.
    pub names: Vec<CertifiedName>,
    /// Revocation lists; with any, every certificate of a chain must be covered by one.
    pub crls: Vec<PathBuf>,
}

/// A name that a certificate may carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertifiedName {
    /// A URI, byte for byte; in the path of a SPIFFE ID, a segment `*` stands for any one segment.
    Uri(Arc<str>),
    /// A DNS name or an IP address.
    Host(Arc<str>),
}

impl std::fmt::Display for CertifiedName {
    /// As in a configuration.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Uri(name) | Self::Host(name)) = self;
        f.write_str(name)
    }
}
