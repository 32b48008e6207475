//! The other end of a connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Timestamp;

/// Who is connected, as far as the connection itself tells.
#[derive(Debug, Clone)]
pub struct Client {
    /// The socket's peer; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The address limits, networks and logs go by: the peer's, or the one that a trusted proxy vouches for.
    pub address: IpAddr,
    /// Whether the peer is one of the listener's `trusted_proxies`.
    pub trusted: bool,
    /// Whether the client's own connection was encrypted (to us, or to a trusted proxy that says so).
    pub https: bool,
    /// The verified client certificate, where one was presented.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// A client certificate whose chain rustls has verified against the listener's CA bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The end-entity certificate, DER.
    pub der: Vec<u8>,
    /// SHA-256 of `der`: the fingerprint of `x5t#S256` (RFC 8705, section 3.1).
    pub fingerprint: [u8; 32],
    /// `SAN` URIs, in order.
    pub uris: Vec<String>,
    /// `SAN` DNS names, in order.
    pub dns: Vec<String>,
    /// `SAN` e-mail addresses, in order.
    pub emails: Vec<String>,
    /// The subject as RFC 4514 writes it.
    pub subject: String,
    /// End of validity.
    pub not_after: Timestamp,
}
