//! Names of hosts, as TLS, `Host` and the configuration write them.

use std::borrow::Cow;

/// A host without port, trailing dot and case, as patterns are written; borrowed where nothing changes. Of an address in
/// brackets nothing sensible is left: it is no name that TLS could ask for (RFC 6066, section 3).
pub fn plain_host(host: &str) -> Cow<'_, str> {
    let name = host.split(':').next().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f52_every_way_to_write_a_host_is_one() {
        for host in ["a.example", "A.Example", "a.example.", "a.example:443", "A.EXAMPLE.:8443"] {
            assert_eq!(plain_host(host), "a.example", "{host}");
        }
        assert_ne!(plain_host("a.example.."), "a.example");
        assert_ne!(plain_host("[::1]:443"), "::1");
    }
}
