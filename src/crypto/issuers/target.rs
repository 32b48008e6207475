//! Which URLs keys may be fetched from, and which addresses may be behind them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::crypto::shown::Shown;

/// A URL that has been found fit: `https`, or `http` to this very machine. It comes from the configuration or from the
/// discovery document that the configuration names; never from a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::crypto) struct Target(Url);

impl Target {
    pub(in crate::crypto) fn parse(text: &str) -> Result<Self, String> {
        let refused = |why: &str| Err(format!("URL `{}` {why}", Shown(text)));
        let Ok(url) = Url::parse(text) else { return refused("cannot be read") };
        let Some(host) = url.host() else { return refused("has no host") };
        let is_local = match host {
            Host::Domain(name) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.to_canonical().is_loopback(),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_local => {}
            "http" => return refused("is not encrypted; https is wanted, or http to a loopback address"),
            _ => return refused("is not https"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("carries a password");
        }
        let target = Self(url);
        match target.literal() {
            Some(ip) if !target.may_connect(ip) => refused("names an address that no keys are fetched from"),
            _ => Ok(target),
        }
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host, where it is an address.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
        }
    }

    /// The host as a name or an address without brackets.
    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// The value of `Host`.
    pub(super) fn authority(&self) -> &str {
        self.0.authority()
    }

    pub(super) fn path_and_query(&self) -> &str {
        &self.0[url::Position::BeforePath..url::Position::AfterQuery]
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Asked about every address that the host's name resolves to: a name may say anything.
    pub(super) fn may_connect(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if !self.is_https() {
            return ip.is_loopback();
        }
        let is_link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        !is_link_local && !ip.is_unspecified() && !ip.is_multicast() && !METADATA.contains(&ip)
    }
}

/// Where clouds tell machines their secrets, besides link-local addresses.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f33_metadata_and_link_local_addresses_are_never_asked() {
        for url in [
            "https://169.254.169.254/latest/meta-data/",
            "https://[fe80::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://2852039166/",
            "https://0xa9fea9fe/",
            "https://100.100.100.200/",
            "https://168.63.129.16/",
            "https://[fd00:ec2::254]/",
            "https://0.0.0.0/",
            "https://[::]/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        let target = Target::parse("https://id.example.com/keys").unwrap();
        assert!(!target.may_connect("169.254.169.254".parse().unwrap()), "a name may resolve to anything");
        assert!(!target.may_connect("::ffff:169.254.169.254".parse().unwrap()));
        assert!(target.may_connect("10.0.0.7".parse().unwrap()));
    }

    #[test]
    fn f33_without_encryption_only_this_machine_is_asked() {
        for url in ["http://127.0.0.1:1/keys", "http://127.9.9.9/", "http://[::1]/", "http://localhost:80/"] {
            assert!(Target::parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://id.example.com/",
            "http://10.0.0.1/",
            "http://localhost.example.com/",
            "http://169.254.169.254/",
            "http://user:pass@localhost/",
            "file:///etc/passwd",
            "gopher://localhost/",
            "data:,x",
            "//localhost/",
            "localhost",
            "",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        let local = Target::parse("http://localhost/").unwrap();
        assert!(!local.may_connect("10.0.0.1".parse().unwrap()), "`localhost` may resolve to anything");
        assert!(local.may_connect("::1".parse().unwrap()));
    }

    #[test]
    fn a_request_line_has_no_fragment() {
        let target = Target::parse("https://id.example.com:8443/keys?tenant=1#x").unwrap();
        assert_eq!((target.path_and_query(), target.authority()), ("/keys?tenant=1", "id.example.com:8443"));
        assert_eq!((target.host(), target.port()), ("id.example.com", 8443));
    }
}
