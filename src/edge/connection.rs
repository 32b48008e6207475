//! One client connection, and who the client is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;

use super::forwarded;
use crate::model::settings::ListenerSettings;
use crate::model::{Client, ClientCertificate};

/// One client connection.
#[derive(Debug)]
pub struct Connection {
    /// The listener that accepted it.
    pub listener: Arc<ListenerSettings>,
    /// The client that the PROXY protocol names; without it the socket's peer, or `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Whether the PROXY protocol names no client. `peer` is the proxy then, and may not be who has written the headers.
    pub unnamed: bool,
    /// Whether it is TLS.
    pub tls: bool,
    /// The name that the client asked for (SNI).
    pub server_name: Option<Arc<str>>,
    /// The verified client certificate.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Connection {
    /// Who the client is for this request: the peer, or whom a trusted peer vouches for. Headers that cannot be read
    /// never make an address: the peer's own counts then. IPv4 addresses inside IPv6 ones count as IPv4; a Unix socket's
    /// peer has the unspecified address, 0.0.0.0. Where a proxy relays bytes of somebody that it does not name, headers
    /// do not count.
    pub fn client(&self, headers: &HeaderMap) -> Client {
        let own = self.peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        let trusts = |address: IpAddr| self.trusts(address);
        let trusted = !self.unnamed && self.has_trusted_peer();
        let (mut address, mut https) = (own, self.tls);
        if trusted {
            match forwarded::vouched(headers, trusts) {
                Some(vouched) => {
                    address = vouched.address;
                    https = vouched.https.unwrap_or(self.tls);
                }
                // Without a word on addresses the proxy's word on the scheme still counts.
                None => https = forwarded::forwarded_proto(headers, 1, 0).unwrap_or(self.tls),
            }
        }
        Client { peer: self.peer, address, trusted, https, certificate: self.certificate.clone() }
    }

    /// The same under other settings of its listener.
    pub fn under(&self, listener: Arc<ListenerSettings>) -> Self {
        Self {
            listener,
            peer: self.peer,
            unnamed: self.unnamed,
            tls: self.tls,
            server_name: self.server_name.clone(),
            certificate: self.certificate.clone(),
        }
    }

    /// Whether who the client is cannot be known: `Forwarded` of a trusted peer is malformed, perhaps by the client's own
    /// words in it. To take the proxy for the client then could admit it where proxies are admitted.
    pub fn is_garbled(&self, headers: &HeaderMap) -> bool {
        !self.unnamed && forwarded::is_malformed(headers) && self.has_trusted_peer()
    }

    /// Whether `trusted_proxies` names the peer.
    pub(super) fn has_trusted_peer(&self) -> bool {
        self.peer.map_or(self.listener.trust_unix, |peer| self.trusts(peer.ip().to_canonical()))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.listener.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use http::HeaderValue;

    use super::*;
    use crate::model::settings::{Bind, HttpLimits, Serve};

    fn connection(peer: Option<&str>, trusted: &[&str], trust_unix: bool) -> Connection {
        let listener = ListenerSettings {
            name: "main".into(),
            bind: Bind::Unix(PathBuf::new()),
            serve: Serve::Proxy,
            public_origin: None,
            trusted_proxies: trusted.iter().map(|network| network.parse().unwrap()).collect(),
            trust_unix,
            proxy_protocol: None,
            hsts: None,
            tls: None,
            limits: HttpLimits::default(),
        };
        let peer = peer.map(|peer| peer.parse().unwrap());
        Connection {
            listener: Arc::new(listener),
            peer,
            unnamed: false,
            tls: false,
            server_name: None,
            certificate: None,
        }
    }

    fn client(connection: &Connection, lines: &[(&'static str, &'static str)]) -> (String, bool, bool) {
        let headers: HeaderMap = lines
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let client = connection.client(&headers);
        (client.address.to_string(), client.trusted, client.https)
    }

    const SPOOF: &[(&str, &str)] = &[
        ("x-forwarded-for", "192.0.2.66"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=192.0.2.66;proto=https"),
    ];

    #[test]
    fn f09_nobody_is_trusted_by_default() {
        assert_eq!(
            client(&connection(Some("203.0.113.9:1000"), &[], false), SPOOF),
            ("203.0.113.9".into(), false, false)
        );
        assert_eq!(client(&connection(None, &[], false), SPOOF), ("0.0.0.0".into(), false, false));
    }

    #[test]
    fn f12_a_private_address_is_no_reason_for_trust() {
        for peer in ["127.0.0.1:1", "10.0.0.1:1", "192.168.0.1:1", "[::1]:1", "[fe80::1]:1"] {
            let (address, trusted, https) = client(&connection(Some(peer), &[], false), SPOOF);
            assert!(!trusted && !https && address != "192.0.2.66", "{peer}");
        }
    }

    #[test]
    fn f10_no_forwarded_header_of_an_untrusted_peer_counts() {
        let connection = connection(Some("203.0.113.9:1000"), &["10.0.0.0/8"], false);
        for name in [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-ssl",
            "x-real-ip",
            "x-client-ip",
            "true-client-ip",
            "cf-connecting-ip",
            "x-forwarded_for",
            "x.forwarded.for",
            "forwarded",
        ] {
            for value in ["192.0.2.66", "for=192.0.2.66", "https", "for=192.0.2.66;proto=https"] {
                assert_eq!(
                    client(&connection, &[(name, value)]),
                    ("203.0.113.9".into(), false, false),
                    "{name}: {value}"
                );
            }
        }
    }

    #[test]
    fn a_trusted_peer_vouches_for_address_and_scheme() {
        let behind = connection(Some("10.0.0.1:1000"), &["10.0.0.0/8"], false);
        assert_eq!(client(&behind, SPOOF), ("192.0.2.66".into(), true, true));
        assert_eq!(client(&behind, &[("x-forwarded-proto", "https")]), ("10.0.0.1".into(), true, true));
        assert_eq!(client(&connection(None, &[], true), SPOOF), ("192.0.2.66".into(), true, true));
    }

    #[test]
    fn f13_what_a_trusted_peer_garbles_leaves_its_own_address() {
        let behind = connection(Some("10.0.0.1:1000"), &["10.0.0.0/8"], false);
        assert_eq!(client(&behind, &[("x-forwarded-for", "garbage")]), ("10.0.0.1".into(), true, false));
        assert_eq!(client(&behind, &[("x-forwarded-for", "")]), ("10.0.0.1".into(), true, false));
    }

    #[test]
    fn ipv4_inside_ipv6_is_ipv4() {
        let behind = connection(Some("[::ffff:10.0.0.1]:1000"), &["10.0.0.0/8"], false);
        assert_eq!(client(&behind, &[]), ("10.0.0.1".into(), true, false));
    }
}
