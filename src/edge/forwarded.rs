//! Who the client is behind proxies that are trusted: `X-Forwarded-For`, or `Forwarded` (RFC 7239) without it.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;

/// What trusted proxies vouch for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vouched {
    /// The nearest address that is not a trusted proxy's; where all are, the farthest.
    pub(super) address: IpAddr,
    /// Whether its connection was encrypted, where it is said.
    pub(super) https: Option<bool>,
}

/// Reads the headers of a request from a trusted peer. Right to left: each address was written by the one to the right of
/// it, so it counts only while those are trusted. `None` where no header says anything or where what is needed of one
/// cannot be read; addresses to the left of the one that counts are the client's own words and are not looked at.
pub(super) fn vouched(headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> Option<Vouched> {
    if headers.contains_key("x-forwarded-for") {
        let hops: Vec<&[u8]> = list(headers, "x-forwarded-for").collect();
        let (address, at) = nearest(&hops, |hop| address(std::str::from_utf8(hop).ok()?), trusted)?;
        Some(Vouched { address, https: forwarded_proto(headers, hops.len(), at) })
    } else {
        let hops = elements(headers)?;
        let (address, at) = nearest(&hops, |hop| hop.node, trusted)?;
        Some(Vouched { address, https: hops.get(at)?.https })
    }
}

/// Whether `Forwarded` counts and cannot be read. Its grammar has quoted strings, so that a client's quotation mark can
/// swallow what the proxy has written behind it: unlike with `X-Forwarded-For`, nobody can tell then who wrote what.
pub(super) fn is_malformed(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED) && !headers.contains_key("x-forwarded-for") && elements(headers).is_none()
}

/// The `X-Forwarded-Proto` of the hop at `at` of `hops`: the list may have one value for each, or one for all.
pub(super) fn forwarded_proto(headers: &HeaderMap, hops: usize, at: usize) -> Option<bool> {
    let schemes: Vec<&[u8]> = list(headers, "x-forwarded-proto").collect();
    match schemes.as_slice() {
        [one] => https(one),
        many if many.len() == hops => https(many.get(at)?),
        _ => None,
    }
}

fn nearest<T>(
    hops: &[T],
    read: impl Fn(&T) -> Option<IpAddr>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<(IpAddr, usize)> {
    let mut found = None;
    for (at, hop) in hops.iter().enumerate().rev() {
        let address = read(hop)?;
        found = Some((address, at));
        if !trusted(address) {
            break;
        }
    }
    found
}

/// The elements of a list header, all its lines together. As bytes: what a client has written to the left of those that
/// are looked at may be anything, and must not make them unreadable.
fn list<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    headers.get_all(name).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn https(scheme: &[u8]) -> Option<bool> {
    if scheme.eq_ignore_ascii_case(b"https") || scheme.eq_ignore_ascii_case(b"wss") {
        Some(true)
    } else if scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"ws") {
        Some(false)
    } else {
        None
    }
}

/// An address, perhaps in brackets, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip().to_canonical());
    }
    let bare = text.strip_prefix('[')?.strip_suffix(']')?;
    bare.parse::<std::net::Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical())
}

/// One element of `Forwarded`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Element {
    /// `for`, where it is an address (`unknown` and `_names` are none).
    node: Option<IpAddr>,
    https: Option<bool>,
}

/// RFC 7239, section 4. `None` where any part of it is malformed or a parameter stands twice.
fn elements(headers: &HeaderMap) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    for line in headers.get_all(FORWARDED) {
        let mut rest = line.to_str().ok()?.trim();
        loop {
            let mut element = Element::default();
            let (mut saw_for, mut saw_proto) = (false, false);
            loop {
                let (name, after) = rest.split_once('=')?;
                let (value, after) = value(after)?;
                let name = name.trim();
                if name.is_empty() || !name.bytes().all(is_token) {
                    return None;
                }
                if name.eq_ignore_ascii_case("for") {
                    element.node = address(&value);
                    if std::mem::replace(&mut saw_for, true) {
                        return None;
                    }
                } else if name.eq_ignore_ascii_case("proto") {
                    element.https = https(value.as_bytes());
                    if std::mem::replace(&mut saw_proto, true) {
                        return None;
                    }
                }
                rest = after.trim_start();
                match rest.strip_prefix(';') {
                    Some(more) => rest = more.trim_start(),
                    None => break,
                }
            }
            elements.push(element);
            match rest.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None if rest.is_empty() => break,
                None => return None,
            }
        }
    }
    Some(elements)
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return (!value.is_empty()).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn ten(address: IpAddr) -> bool {
        address.to_string().starts_with("10.")
    }

    fn who(lines: &[(&'static str, &str)]) -> Option<String> {
        vouched(&headers(lines), ten).map(|vouched| vouched.address.to_string())
    }

    #[test]
    fn the_nearest_untrusted_address_counts() {
        assert_eq!(who(&[("x-forwarded-for", "203.0.113.9")]).as_deref(), Some("203.0.113.9"));
        assert_eq!(who(&[("x-forwarded-for", "1.2.3.4, 203.0.113.9, 10.0.0.7")]).as_deref(), Some("203.0.113.9"));
        assert_eq!(
            who(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "203.0.113.9 ,10.0.0.7")]).as_deref(),
            Some("203.0.113.9")
        );
        assert_eq!(who(&[("x-forwarded-for", "10.0.0.1, 10.0.0.2")]).as_deref(), Some("10.0.0.1"));
        assert_eq!(who(&[("x-forwarded-for", "[2001:db8::1]:443")]).as_deref(), Some("2001:db8::1"));
        assert_eq!(who(&[("x-forwarded-for", "::ffff:192.0.2.1")]).as_deref(), Some("192.0.2.1"));
        assert_eq!(who(&[]), None);
    }

    #[test]
    fn f13_garbage_vouches_for_nobody() {
        for bad in [
            "",
            ",",
            "unknown",
            "_hidden",
            "1.2.3",
            "1.2.3.4:x",
            "203.0.113.9, ",
            "203.0.113.9, garbage, 10.0.0.7",
            "[::1",
            "1.2.3.4 5.6.7.8",
            "localhost",
            "0x7f.1",
        ] {
            assert_eq!(who(&[("x-forwarded-for", bad)]), None, "{bad}");
        }
        // What an untrusted client wrote to the left of its own address is not looked at.
        assert_eq!(who(&[("x-forwarded-for", "garbage, 203.0.113.9")]).as_deref(), Some("203.0.113.9"));
    }

    #[test]
    fn f26_no_bytes_of_a_client_hide_the_address_that_a_proxy_has_added() {
        for byte in (0x20..=0xff_u8).chain([b'\t']).filter(|byte| *byte != 0x7f) {
            let mut one_line = HeaderMap::new();
            let line = [&[byte][..], b"x, ", &[byte], b", 203.0.113.9, 10.0.0.7"].concat();
            one_line.insert("x-forwarded-for", HeaderValue::from_bytes(&line).unwrap());
            let mut two_lines = HeaderMap::new();
            two_lines.append("x-forwarded-for", HeaderValue::from_bytes(&[b'x', byte, b'x']).unwrap());
            two_lines.append("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
            for headers in [one_line, two_lines] {
                let found = vouched(&headers, ten).map(|vouched| vouched.address.to_string());
                assert_eq!(found.as_deref(), Some("203.0.113.9"), "{headers:?}");
            }
            let mut forwarded = HeaderMap::new();
            let line = [b"for=1.1.1.1;x=".as_slice(), &[byte], b", for=203.0.113.9"].concat();
            forwarded.insert(FORWARDED, HeaderValue::from_bytes(&line).unwrap());
            let found = vouched(&forwarded, ten).map(|vouched| vouched.address.to_string());
            assert!(found.as_deref() == Some("203.0.113.9") || is_malformed(&forwarded), "{forwarded:?}: {found:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let read = |text| vouched(&headers(&[("forwarded", text)]), ten);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(
            read(r#"for=192.0.2.43, for="[2001:db8:cafe::17]:4711";proto=https, For=10.0.0.1;by=10.0.0.2"#),
            Some(Vouched { address: address("2001:db8:cafe::17"), https: Some(true) })
        );
        assert_eq!(
            read(r#"For="203.0.113.9:80"; Proto=http;host="a\"b, c""#),
            Some(Vouched { address: address("203.0.113.9"), https: Some(false) })
        );
        for bad in [
            "for=unknown",
            "for=_x",
            "for=",
            "for",
            "for=1.2.3.4;for=5.6.7.8",
            "for=\"1.2.3.4",
            "for=1.2.3.4 x",
            "=1.2.3.4",
            "for=1.2.3.4,",
            "proto=https",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn x_forwarded_for_goes_before_forwarded() {
        assert_eq!(
            who(&[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "203.0.113.9")]).as_deref(),
            Some("203.0.113.9")
        );
        assert_eq!(who(&[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "garbage")]), None);
    }

    #[test]
    fn the_scheme_is_the_one_of_the_same_hop() {
        let https = |hops, proto| {
            vouched(&headers(&[("x-forwarded-for", hops), ("x-forwarded-proto", proto)]), ten).unwrap().https
        };
        assert_eq!(https("203.0.113.9", "https"), Some(true));
        assert_eq!(https("203.0.113.9, 10.0.0.1", "https"), Some(true));
        assert_eq!(https("203.0.113.9, 10.0.0.1", "http, https"), Some(false));
        assert_eq!(https("203.0.113.9", "https, https"), None);
        assert_eq!(https("203.0.113.9", "gopher"), None);
    }
}
