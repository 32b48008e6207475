//! What the upstream is told of the connection that the request came through: `X-Forwarded-*`, `Forwarded` (RFC 7239),
//! `X-Real-IP`.

use std::fmt::Write;
use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::Client;
use crate::model::header::fold;
use crate::model::reserved;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Whether a header's name, in any spelling, claims something about where a request came from.
pub(super) fn is_claim(name: &str) -> bool {
    // The first letters settle it for nearly all headers.
    if !matches!(name.as_bytes().first(), Some(b'x' | b'f' | b't' | b'c' | b'X' | b'F' | b'T' | b'C')) {
        return false;
    }
    reserved::is_claim(&fold(name))
}

/// Says where the request came from. What a peer that nobody trusts claims about that is removed, in every spelling,
/// and said anew (f09 to f12); what a trusted proxy says is continued, though other spellings than the usual are
/// removed there as well: it was not the proxy who wrote those.
///
/// `host` is the host that the request is for, as the client named it.
pub(super) fn set(headers: &mut HeaderMap, client: &Client, host: &str) {
    let stays = |name: &str| client.trusted && *name == *fold(name);
    let gone: Vec<HeaderName> =
        headers.keys().filter(|name| is_claim(name.as_str()) && !stays(name.as_str())).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    // The hop that we add is the peer's: the client's own address is what a trusted peer has put before it. On a Unix
    // socket a trusted peer has none to add.
    let peer = client.peer.map(|peer| peer.ip().to_canonical());
    let hop = if client.trusted { peer } else { Some(client.address.to_canonical()) };
    let proto = if client.https { "https" } else { "http" };

    append(headers, &FOR, hop.map(|hop| hop.to_string()));
    append(headers, &FORWARDED, Some(element(hop, host, proto)));
    // The edge has weighed a trusted proxy's word on this one already.
    headers.insert(PROTO, HeaderValue::from_static(proto));
    headers.insert(REAL_IP, value(client.address.to_canonical().to_string()));
    keep_or_insert(headers, &HOST, |said| !said.is_empty(), || value(host.to_owned()));
    let is_port = |said: &str| said.bytes().all(|b| b.is_ascii_digit()) && said.parse::<u16>().is_ok();
    keep_or_insert(headers, &PORT, is_port, || port(host, client.https));
}

fn element(hop: Option<IpAddr>, host: &str, proto: &str) -> String {
    let mut element = String::with_capacity(64);
    // Writing to a String does not fail.
    let _ = match hop {
        Some(IpAddr::V4(address)) => write!(element, "for={address}"),
        Some(IpAddr::V6(address)) => write!(element, "for=\"[{address}]\""),
        None => write!(element, "for=unknown"),
    };
    element.push_str(";host=\"");
    element.extend(host.chars().filter(|c| !matches!(c, '"' | '\\')));
    element.push_str("\";proto=");
    element.push_str(proto);
    element
}

fn append(headers: &mut HeaderMap, name: &HeaderName, hop: Option<String>) {
    let mut chain = String::new();
    let said = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    for part in said.map(str::to_owned).chain(hop).filter(|part| !part.trim().is_empty()) {
        if !chain.is_empty() {
            chain.push_str(", ");
        }
        chain.push_str(&part);
    }
    headers.remove(name);
    if !chain.is_empty() {
        headers.insert(name.clone(), value(chain));
    }
}

fn keep_or_insert(
    headers: &mut HeaderMap,
    name: &HeaderName,
    fits: impl Fn(&str) -> bool,
    otherwise: impl FnOnce() -> HeaderValue,
) {
    let mut said = headers.get_all(name).iter();
    let kept = match (said.next(), said.next()) {
        (Some(value), None) => value.to_str().is_ok_and(fits),
        _ => false,
    };
    if !kept {
        headers.insert(name.clone(), otherwise());
    }
}

/// The port that the client connected to, as far as it said: the one in `Host`, or the scheme's.
fn port(host: &str, https: bool) -> HeaderValue {
    let stated = match host.rsplit_once(':') {
        Some((_, port)) if !host.ends_with(']') => port.parse::<u16>().ok(),
        _ => None,
    };
    stated.unwrap_or(if https { 443 } else { 80 }).into()
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: bool, https: bool, address: &str) -> Client {
        Client {
            peer: Some("10.0.0.9:4711".parse().unwrap()),
            address: address.parse().unwrap(),
            trusted,
            https,
            certificate: None,
        }
    }

    fn told(client: &Client, host: &str, request: &[(&str, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in request {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        set(&mut headers, client, host);
        let mut told: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        told.sort();
        told
    }

    #[test]
    fn f10_claims_of_an_untrusted_peer_vanish_in_every_spelling() {
        let plain = told(&client(false, true, "10.0.0.9"), "a.example", &[]);
        assert_eq!(
            plain,
            [
                "forwarded: for=10.0.0.9;host=\"a.example\";proto=https",
                "x-forwarded-for: 10.0.0.9",
                "x-forwarded-host: a.example",
                "x-forwarded-port: 443",
                "x-forwarded-proto: https",
                "x-real-ip: 10.0.0.9",
            ]
        );
        for name in [
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "X-Forwarded-Prefix",
            "X-Forwarded-Uri",
            "X-Forwarded-User",
            "x_forwarded_for",
            "X.Forwarded.Proto",
            "x-forwarded_host",
            "x!forwarded~for",
            "Forwarded",
            "X-Real-IP",
            "x_real_ip",
            "True-Client-IP",
            "Client-IP",
            "X-Original-URI",
            "x_original_method",
            "X-Original-For",
            "X-Request-Id",
        ] {
            let spoofed = told(&client(false, true, "10.0.0.9"), "a.example", &[(name, "1.2.3.4"), (name, "5.6.7.8")]);
            assert_eq!(spoofed, plain, "{name}");
        }
    }

    #[test]
    fn f12_a_private_address_is_trusted_no_more_than_others() {
        for address in ["10.0.0.9", "192.168.1.1", "127.0.0.1", "::1", "fd00::1"] {
            let client =
                Client { peer: Some((address.parse::<IpAddr>().unwrap(), 1).into()), ..client(false, false, address) };
            let told = told(&client, "a", &[("x-forwarded-for", "1.2.3.4")]);
            assert!(told.contains(&format!("x-forwarded-for: {address}")), "{told:?}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_says_is_continued() {
        let said = [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-for", "10.0.0.8"),
            ("forwarded", "for=192.0.2.7"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-port", "8443"),
            ("x-forwarded-prefix", "/shop"),
            ("x-real-ip", "6.6.6.6"),
            ("x_forwarded_for", "6.6.6.6"),
        ];
        assert_eq!(
            told(&client(true, true, "192.0.2.7"), "internal:8080", &said),
            [
                "forwarded: for=192.0.2.7, for=10.0.0.9;host=\"internal:8080\";proto=https",
                "x-forwarded-for: 192.0.2.7, 10.0.0.8, 10.0.0.9",
                "x-forwarded-host: shop.example",
                "x-forwarded-port: 8443",
                "x-forwarded-prefix: /shop",
                "x-forwarded-proto: https",
                "x-real-ip: 192.0.2.7",
            ]
        );
    }

    #[test]
    fn f13_repeated_or_senseless_claims_of_a_trusted_proxy_are_replaced() {
        let said = [("x-forwarded-host", "a"), ("x-forwarded-host", "b"), ("x-forwarded-port", "99999")];
        let told = told(&client(true, false, "192.0.2.7"), "c:81", &said);
        assert!(told.contains(&"x-forwarded-host: c:81".to_owned()), "{told:?}");
        assert!(told.contains(&"x-forwarded-port: 81".to_owned()), "{told:?}");
    }

    #[test]
    fn addresses_of_ipv6_are_written_as_each_header_wants_them() {
        let client = Client { peer: None, ..client(false, true, "2001:db8::1") };
        let told = told(&client, "[2001:db8::2]", &[]);
        assert!(told.contains(&"forwarded: for=\"[2001:db8::1]\";host=\"[2001:db8::2]\";proto=https".to_owned()));
        assert!(told.contains(&"x-forwarded-for: 2001:db8::1".to_owned()));
        assert!(told.contains(&"x-forwarded-port: 443".to_owned()));
    }
}
