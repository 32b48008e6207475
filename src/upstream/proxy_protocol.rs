//! The PROXY protocol towards an upstream: whose a connection is
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, sections 2.1 and 2.2).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::model::settings::ProxyProtocol;

/// How version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// What a connection begins with that is a client's, and goes `to` there.
pub(super) fn header(version: ProxyProtocol, client: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let (source, target) = match (client.ip().to_canonical(), to.ip().to_canonical()) {
        (source @ IpAddr::V4(_), target @ IpAddr::V4(_)) => (source, target),
        (source, target) => (IpAddr::V6(v6(source)), IpAddr::V6(v6(target))),
    };
    let (from_port, to_port) = (client.port(), to.port());
    match version {
        ProxyProtocol::V1 => {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {source} {target} {from_port} {to_port}\r\n").into_bytes()
        }
        ProxyProtocol::V2 => {
            let mut header = SIGNATURE.to_vec();
            header.push(0x21);
            let (family, length) = if source.is_ipv4() { (0x11, 12_u16) } else { (0x21, 36_u16) };
            header.push(family);
            header.extend(length.to_be_bytes());
            for address in [source, target] {
                match address {
                    IpAddr::V4(address) => header.extend(address.octets()),
                    IpAddr::V6(address) => header.extend(address.octets()),
                }
            }
            header.extend(from_port.to_be_bytes());
            header.extend(to_port.to_be_bytes());
            header
        }
    }
}

/// What a connection of our own begins with: a check.
pub(super) fn own(version: ProxyProtocol) -> Vec<u8> {
    match version {
        ProxyProtocol::V1 => b"PROXY UNKNOWN\r\n".to_vec(),
        ProxyProtocol::V2 => [&SIGNATURE[..], &[0x20, 0, 0, 0]].concat(),
    }
}

/// Families are never mixed: where one address is of IPv6, so is the other, in its mapped form.
fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(version: ProxyProtocol, client: &str, to: &str) -> Vec<u8> {
        header(version, client.parse().unwrap(), to.parse().unwrap())
    }

    #[test]
    fn version_1_is_a_line() {
        let line = |client, to| String::from_utf8(with(ProxyProtocol::V1, client, to)).unwrap();
        assert_eq!(line("192.0.2.1:5000", "10.0.0.1:80"), "PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\r\n");
        assert_eq!(line("[::ffff:192.0.2.1]:5000", "10.0.0.1:80"), "PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\r\n");
        assert_eq!(line("[2001:db8::1]:1", "[::1]:80"), "PROXY TCP6 2001:db8::1 ::1 1 80\r\n");
        assert_eq!(line("[2001:db8::1]:1", "10.0.0.1:80"), "PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 1 80\r\n");
        assert_eq!(own(ProxyProtocol::V1), b"PROXY UNKNOWN\r\n");
    }

    #[test]
    fn version_2_is_as_long_as_it_says() {
        let four = with(ProxyProtocol::V2, "192.0.2.1:5000", "10.0.0.1:80");
        assert_eq!(four[..12], SIGNATURE);
        assert_eq!(four[12..], [0x21, 0x11, 0, 12, 192, 0, 2, 1, 10, 0, 0, 1, 0x13, 0x88, 0, 80]);
        let six = with(ProxyProtocol::V2, "[2001:db8::1]:1", "10.0.0.1:80");
        assert_eq!((&six[12..16], six.len()), (&[0x21, 0x21, 0, 36][..], 16 + 36));
        assert_eq!(own(ProxyProtocol::V2)[12..], [0x20, 0, 0, 0]);
    }
}
