//! Whether `htu` is the URI of the request, without query and fragment (RFC 9449, section 4.3, check 9).
//!
//! Scheme and authority are those that clients use: the listener's public origin where it has one, else what `Host` and
//! the connection say. Both URIs are compared in the normal form of RFC 3986, sections 6.2.2 and 6.2.3: scheme and host
//! in lower case, the port filled in, escapes of unreserved characters taken back. Dot segments need no care: no request
//! that has them comes this far.

use crate::gate::CheckRequest;
use crate::gate::route::Host;

pub(super) fn is_of(htu: &str, request: &CheckRequest<'_>, host: &Host<'_>) -> bool {
    let Some((https, authority, path)) = split(htu) else { return false };
    let Some(named) = Host::parse(authority) else { return false };
    let port = |host: &Host<'_>, https| host.port.unwrap_or(default_port(https));
    let is_ours = match request.public_origin {
        Some(origin) => {
            let ours = Host::parse(&origin.host);
            https == origin.https
                && ours.is_some_and(|ours| ours.name == named.name)
                && port(&named, https) == origin.port
        }
        None => {
            let ours = request.client.https;
            https == ours && named.name == host.name && port(&named, https) == port(host, ours)
        }
    };
    let asked = request.target.split('?').next().unwrap_or_default();
    is_ours && (path == asked || normal(path) == normal(asked))
}

/// Whether it is `https`, the authority, and the path (`/` for none).
fn split(url: &str) -> Option<(bool, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let rest = rest.split(['?', '#']).next()?;
    let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
    let fits = path.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some((https, authority, if path.is_empty() { "/" } else { path }))
}

const fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Escapes of unreserved characters taken back, all others in upper case. Nothing is decoded twice: what comes of an
/// escape is never a `%`.
fn normal(path: &str) -> Vec<u8> {
    let mut normal = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after.split_first_chunk::<2>()) {
            (b'%', Some((digits, after))) if digits.iter().all(u8::is_ascii_hexdigit) => {
                rest = after;
                let [high, low] = digits.map(value);
                let byte = high * 16 + low;
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    normal.push(byte);
                } else {
                    normal.push(b'%');
                    normal.extend(digits.map(|digit| digit.to_ascii_uppercase()));
                }
            }
            _ => normal.push(*first),
        }
    }
    normal
}

const fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;
    use crate::gate::fixtures;
    use crate::model::settings::Origin;
    use crate::model::{Client, Timestamp};

    /// Whether `htu` is of a request for this target, on this host, over TLS or not, at this public origin.
    fn is_of(htu: &str, target: &str, host: &str, https: bool, public: Option<&str>) -> bool {
        let (headers, public) = (HeaderMap::new(), public.map(|origin| Origin::parse(origin).unwrap()));
        let client = Client { https, ..fixtures::client("192.0.2.1") };
        let request = CheckRequest {
            listener: "main",
            method: &Method::GET,
            target,
            host,
            headers: &headers,
            client: &client,
            public_origin: public.as_ref(),
            now: Timestamp(0),
        };
        super::is_of(htu, &request, &Host::parse(host).unwrap())
    }

    #[test]
    fn the_same_uri_may_be_written_in_several_ways() {
        for htu in [
            "https://a.example/p/x",
            "HTTPS://A.Example/p/x",
            "https://a.example:443/p/x",
            "https://a.example./p/x",
            "https://a.example/p/x?other=query#fragment",
            "https://a.example/%70/%78",
        ] {
            assert!(is_of(htu, "/p/x?q=1", "a.example", true, None), "{htu}");
            assert!(is_of(htu, "/p/x", "A.example:443", true, None), "{htu}");
            assert!(is_of(htu, "/p/%78", "10.0.0.7:8080", false, Some("https://a.example")), "{htu}");
        }
        assert!(is_of("https://a.example", "/?q", "a.example", true, None));
        assert!(is_of("http://a.example:80/", "/", "a.example", false, None));
        assert!(is_of("http://[0:0::1]:8080/", "/", "[::1]:8080", false, None));
        assert!(is_of("https://a.example/%c3%a4%2f%25", "/%C3%A4%2F%25", "a.example", true, None));
    }

    #[test]
    fn f34_a_proof_for_another_uri_is_none_for_this() {
        for htu in [
            "",
            "/p/x",
            "//a.example/p/x",
            "a.example/p/x",
            "http://a.example/p/x",
            "http://a.example:443/p/x",
            "https://a.example:8443/p/x",
            "https://a.example:/p/x",
            "https://b.example/p/x",
            "https://a.example.evil.example/p/x",
            "https://evil.example@a.example/p/x",
            "https://a.example@evil.example/p/x",
            "https://a.example\\@evil.example/p/x",
            "https://a.example/p/X",
            "https://a.example/p/x/",
            "https://a.example/p//x",
            "https://a.example/p/./x",
            "https://a.example/p/y/../x",
            "https://a.example/p%2Fx",
            "https://a.example/p/%2578",
            "https://a.example/p/x%20",
            "https://a.example/p/x ",
            " https://a.example/p/x",
            "https:///p/x",
            "https://a.example",
            "https://a.example/",
            "https://a.example?/p/x",
            "https://a.example#/p/x",
            "wss://a.example/p/x",
            "https:/a.example/p/x",
            "https://a.example/p/\u{445}",
        ] {
            assert!(!is_of(htu, "/p/x", "a.example", true, None), "{htu}");
            assert!(!is_of(htu, "/p/x", "b.internal", false, Some("https://a.example")), "{htu}");
        }
    }

    #[test]
    fn where_there_is_a_public_origin_nothing_else_is_the_authority() {
        let public = Some("https://a.example:8443");
        assert!(is_of("https://a.example:8443/", "/", "evil.example", false, public));
        assert!(!is_of("https://evil.example/", "/", "evil.example", true, public));
        assert!(!is_of("http://a.example:8443/", "/", "a.example:8443", false, public));
        assert!(!is_of("https://a.example/", "/", "a.example", true, public));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(htu in "\\PC{0,30}|https?://[a-z.:@/%0-9A-F?#]{0,30}", target in "/[a-z%0-9A-F/]{0,10}") {
            let _ = is_of(&htu, &target, "a.example", true, None);
        }

        #[test]
        fn what_is_normal_stays_so(path in "/[a-zA-Z%0-9~._/-]{0,20}") {
            let once = String::from_utf8(normal(&path)).unwrap();
            proptest::prop_assert_eq!(normal(&once), once.as_bytes());
        }
    }
}
