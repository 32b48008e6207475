//! The other end of a connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use ipnet::{IpNet, Ipv4Net};
use rustls_pki_types::CertificateDer;

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

impl Client {
    /// Whether its address is in one of these networks. An IPv4 address is the same in its IPv6-mapped form
    /// (`::ffff:192.0.2.1`), on either side.
    pub fn is_in(&self, networks: &[IpNet]) -> bool {
        let address = self.address.to_canonical();
        networks.iter().any(|network| canonical(network).contains(&address))
    }
}

fn canonical(network: &IpNet) -> IpNet {
    const MAPPED_PREFIX: u8 = 96;
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= MAPPED_PREFIX => v6
            .network()
            .to_ipv4_mapped()
            .and_then(|v4| Ipv4Net::new(v4, v6.prefix_len() - MAPPED_PREFIX).ok())
            .map_or(*network, IpNet::V4),
        _ => *network,
    }
}

/// A client certificate whose chain rustls has verified against the listener's CA bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// What the client has sent, DER, the end entity first.
    pub chain: Vec<CertificateDer<'static>>,
    /// SHA-256 of the end entity: the fingerprint of `x5t#S256` (RFC 8705, section 3.1).
    pub fingerprint: [u8; 32],
    /// `SAN` URIs, in order.
    pub uris: Vec<String>,
    /// `SAN` DNS names, in order.
    pub dns: Vec<String>,
    /// `SAN` e-mail addresses, in order.
    pub emails: Vec<String>,
    /// The subject as RFC 4514 writes it.
    pub subject: String,
    /// Who signed it, written likewise.
    pub issuer: String,
    /// End of validity.
    pub not_after: Timestamp,
    /// `SAN` URIs of the certificate that the client was shown: who this side is.
    pub by: Arc<[String]>,
    /// What upstreams are told of it.
    pub told: Told,
}

/// Header values that are made of a client certificate once it is wanted, and kept for as long as its connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// `X-Forwarded-Client-Cert`: as it is, with `Cert`, with `Chain`, with both.
    pub xfcc: [OnceLock<Option<HeaderValue>>; 4],
    /// `Client-Cert`.
    pub client_cert: OnceLock<Option<HeaderValue>>,
    /// `Client-Cert-Chain`.
    pub client_cert_chain: OnceLock<Option<HeaderValue>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(address: &str, network: &str) -> bool {
        let client =
            Client { peer: None, address: address.parse().unwrap(), trusted: false, https: false, certificate: None };
        client.is_in(&[network.parse().unwrap()])
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_its_mapped_form() {
        assert!(is_in("192.0.2.7", "192.0.2.0/24"));
        assert!(is_in("::ffff:192.0.2.7", "192.0.2.0/24"));
        assert!(is_in("192.0.2.7", "::ffff:192.0.2.0/120"));
        assert!(!is_in("::ffff:192.0.3.7", "192.0.2.0/24"));
        assert!(!is_in("2001:db8::1", "192.0.2.0/24"));
        assert!(is_in("2001:db8::1", "2001:db8::/32"));
    }
}
