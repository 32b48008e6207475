//! What `Host` or `:authority` says, in the one form that routes are written in.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// A host without case, trailing dot and port (RFC 9110, section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gate) struct Host<'a> {
    /// A name or IPv4 address in lower case, or an IPv6 address in brackets.
    pub(in crate::gate) name: Cow<'a, str>,
    /// The port, where one is named.
    pub(in crate::gate) port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Reads `host[:port]`; `None` for anything that is not a host name of letters, digits, `-` and `_`, an IPv4 address
    /// or an IPv6 address in brackets. Percent escapes and sub-delimiters, which RFC 3986 has in a registered name, are
    /// in no name that resolves.
    pub(in crate::gate) fn parse(raw: &'a str) -> Option<Self> {
        if let Some(rest) = raw.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            return Some(Self { name: format!("[{address}]").into(), port: read_port(port)? });
        }
        let end = raw.find(':').unwrap_or(raw.len());
        let (name, port) = raw.split_at_checked(end)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        let fits = !name.is_empty()
            && name.len() <= 253
            && name.split('.').all(|label| !label.is_empty() && label.bytes().all(in_label));
        let port = read_port(port)?;
        let upper = name.bytes().any(|b| b.is_ascii_uppercase());
        let name = if upper { name.to_ascii_lowercase().into() } else { name.into() };
        fits.then_some(Self { name, port })
    }
}

const fn in_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Reads what follows the host: nothing, or `:` and a port.
fn read_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.strip_prefix(':')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(raw: &str) -> Option<(String, Option<u16>)> {
        Host::parse(raw).map(|h| (h.name.into_owned(), h.port))
    }

    #[test]
    fn f23_every_spelling_of_a_host_is_the_same_host() {
        for (raw, port) in [
            ("a.example", None),
            ("A.Example", None),
            ("a.example.", None),
            ("A.EXAMPLE.:8443", Some(8443)),
            ("a.example:0443", Some(443)),
        ] {
            assert_eq!(read(raw), Some(("a.example".to_owned(), port)), "{raw}");
        }
        assert_eq!(read("[0:0:0:0:0:0:0:1]:80"), Some(("[::1]".to_owned(), Some(80))));
        assert_eq!(read("127.0.0.1"), Some(("127.0.0.1".to_owned(), None)));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for raw in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            ":80",
            "a:",
            "a:b",
            "a:+1",
            "a:65536",
            "a:1:2",
            "a b",
            "a/b",
            "a@b",
            "u:p@h",
            "a%2eb",
            "a\\b",
            "a#b",
            "a?b",
            "a,b",
            "a;b",
            "[::1",
            "::1",
            "[::1]x",
            "[fe80::1%25eth0]",
            "[a]",
            "ä.example",
            "a\u{0}b",
            "*.a",
        ] {
            assert_eq!(read(raw), None, "{raw:?}");
        }
        assert_eq!(read(&"a.".repeat(130)), None);
    }

    #[test]
    fn a_plain_host_is_borrowed() {
        assert!(matches!(Host::parse("a.example:80"), Some(Host { name: Cow::Borrowed("a.example"), port: Some(80) })));
    }

    proptest! {
        #[test]
        fn f26_no_bytes_make_a_host_that_is_not_normal(raw in "\\PC{0,24}|[a-zA-Z.:\\[\\]0-9]{0,24}") {
            if let Some(host) = Host::parse(&raw) {
                prop_assert_eq!(Host::parse(&host.name).map(|h| h.name), Some(host.name.clone()));
                prop_assert!(!host.name.ends_with('.'));
                prop_assert!(!host.name.bytes().any(|b| b.is_ascii_uppercase()));
            }
        }
    }
}
