//! Request targets and hosts, against routes of which one guards a part. First line: the host; second: the target.

#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use portcullis::gate::CheckRequest;
use portcullis::gate::fuzzing::Routes;
use portcullis::model::{Client, Timestamp};
use portcullis_fuzz::{NOW, client, settings};

static ROUTES: LazyLock<(Routes, Client)> = LazyLock::new(|| {
    let routes = r#"
        [route]
        strict = { match = "/admin/{*rest}", accept = "session" }
        host = { match = "api.example.com/{*rest}", accept = "session" }
        open = { match = "/{*rest}", accept = "anyone" }
        "#;
    (Routes::new(&settings(routes)).expect("routes"), client())
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((host, target)) = text.split_once('\n') else { return };
    let (routes, client) = &*ROUTES;
    let headers = HeaderMap::new();
    let request = CheckRequest {
        listener: "main",
        method: &Method::GET,
        target,
        host,
        headers: &headers,
        client,
        public_origin: None,
        now: Timestamp::from_secs(NOW),
    };
    let (route, forwarded) = match routes.find(&request) {
        Ok(found) => found,
        Err(reason) => return assert!(matches!(reason.row().status, 400 | 404), "{reason:?}"),
    };
    assert_eq!(forwarded, target, "what was matched is what is forwarded");
    assert!(target.starts_with('/') && !target.contains('#') && !target.chars().any(char::is_control));

    let path = target.split('?').next().expect("one part");
    let plain = decoded(decoded(path.as_bytes()).as_slice());
    let plain = String::from_utf8(plain).expect("what passes is UTF-8 when decoded");
    let segments: Vec<&str> = plain.split(['/', '\\']).collect();
    assert!(segments.iter().all(|s| *s != "." && *s != ".."), "dot segments in {target}");
    // However another server reads the path, it is not below `/admin` unless the route is the one that guards it.
    let first = segments.iter().find(|segment| !segment.is_empty()).map(|s| s.split(';').next().unwrap_or(s));
    if route == "open" {
        assert_ne!(first, Some("admin"), "{target}");
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_end_matches('.');
        assert!(!name.eq_ignore_ascii_case("api.example.com"), "{host}");
    }
});

/// Percent-decoded once; what is no escape stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let digits = text.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|_| text[at] == b'%') {
            Some(byte) => {
                bytes.push(byte);
                at += 3;
            }
            None => {
                bytes.push(text[at]);
                at += 1;
            }
        }
    }
    bytes
}
