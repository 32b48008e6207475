//! Every byte there is, wherever a rule looks: one that refuses goes on refusing, and no error becomes a success.

use serde_json::{Value, json};

use super::fuzz::{exchange, statuses};
use crate::harness::http::{get, send};
use crate::harness::portcullis::{Setup, bearer};
use crate::harness::upstream::Upstream;

fn request(parts: &[&[u8]]) -> Vec<u8> {
    [&parts.concat()[..], b"\r\nConnection: close\r\n\r\n"].concat()
}

#[test]
fn f26_no_byte_of_a_client_hides_its_address_behind_a_proxy() {
    let upstream = Upstream::start();
    let routes = format!(
        r#"
        [defaults]
        upstream = "{}"
        [route]
        inside = {{ match = "/inside", accept = ["jwt", "anyone"], allow = [{{ networks = ["127.0.0.0/8"] }}] }}
        outside = {{ match = "/outside", accept = ["jwt", "anyone"], deny = [{{ networks = ["203.0.113.0/24"] }}] }}
        "#,
        upstream.url()
    );
    let portcullis = Setup::new().start_with(r#"listener.main.trusted_proxies = ["127.0.0.0/8"]"#, &routes);
    let to = portcullis.address();
    for target in ["/inside", "/outside"] {
        assert_eq!(get(to, target, "").status, 200, "the proxy itself may");
        assert_eq!(get(to, target, "X-Forwarded-For: 203.0.113.5\r\n").status, 403);
        assert_eq!(get(to, target, "Forwarded: for=203.0.113.5\r\n").status, 403);
    }
    let served = upstream.received().len();
    for byte in 0..=255_u8 {
        for (line, proxys) in [
            (&b"X-Forwarded-For: 1"[..], &b", 203.0.113.5"[..]),
            (b"X-Forwarded-For: ", b"\r\nX-Forwarded-For: 203.0.113.5"),
            (b"Forwarded: for=", b", for=203.0.113.5"),
            (b"Forwarded: for=\"1.1.1.1\";x=", b", for=203.0.113.5"),
        ] {
            for target in ["/inside", "/outside"] {
                let line = [line, &[byte], proxys].concat();
                let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n");
                let status = send(to, request(&[head.as_bytes(), &line])).status;
                assert!(matches!(status, 400 | 403), "{status} to {}", line.escape_ascii());
            }
        }
    }
    assert_eq!(upstream.received().len(), served);
}

#[test]
fn f26_no_byte_in_path_query_host_header_or_claim_hides_what_is_denied() {
    let upstream = Upstream::start();
    let portcullis = Setup::new().start(&format!(
        r#"
        [route.app]
        match = "/{{*rest}}"
        accept = ["jwt", "anyone"]
        upstream = "{}"
        deny = [{{ groups = ["banned"] }}, {{ scopes = ["banned"] }}, {{ roles = ["writer"] }}, {{ methods = ["DELETE"] }}]
        "#,
        upstream.url()
    ));
    let to = portcullis.address();
    let authorization = format!("\r\nAuthorization: Bearer {}", portcullis.token(json!({"groups": ["banned"]})));
    let authorization = authorization.as_bytes();
    let refused = |request: Vec<u8>| {
        let answers = exchange(to, &request);
        let refused = statuses(&answers).iter().all(|status| matches!(*status, "400" | "401" | "403" | "405" | "431"));
        assert!(refused, "{answers} to {}", request.escape_ascii());
    };
    for byte in 0..=255_u8 {
        let (raw, escaped) = ([byte], format!("%{byte:02x}"));
        for byte in [&raw[..], escaped.as_bytes()] {
            for request in [
                request(&[b"GET /x", byte, b"y HTTP/1.1\r\nHost: a", authorization]),
                request(&[b"GET /x?", byte, b" HTTP/1.1\r\nHost: a", authorization]),
                request(&[b"GET /x HTTP/1.1\r\nHost: a", byte, b"b", authorization]),
                request(&[b"GET http://a", byte, b"b/x HTTP/1.1\r\nHost: a", byte, b"b", authorization]),
                request(&[b"GET /x HTTP/1.1\r\nHost: a\r\nX-A", byte, b": b", authorization]),
                request(&[b"GET /x HTTP/1.1\r\nHost: a\r\nX-A: ", byte, b"b", authorization]),
                request(&[b"GET /x HTTP/1.1\r\nHost: a", authorization, b"\r\nX-A: ", byte]),
                request(&[b"DELETE /x", byte, b" HTTP/1.1\r\nHost: a"]),
            ] {
                refused(request);
            }
        }
    }
    for byte in 0..=255_u8 {
        let odd = format!("x{}y", char::from(byte));
        let blank = format!("read{}banned read", if byte.is_ascii_whitespace() { ' ' } else { '\t' });
        for claims in [
            json!({"groups": [odd, "banned"]}),
            json!({"groups": ["banned", odd]}),
            json!({"roles": [odd, "writer"]}),
            json!({"scope": format!("{odd} banned")}),
            json!({"scope": [odd, "banned"]}),
            json!({"groups": ["banned"], "sub": odd}),
            json!({"groups": ["banned"], odd.as_str(): Value::Null}),
            json!({"groups": ["banned"], "scope": blank}),
        ] {
            let status = get(to, "/", &bearer(&portcullis.token(claims.clone()))).status;
            assert!(matches!(status, 401 | 403), "{claims}: {status}");
        }
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.last());
}

#[test]
fn f26_no_byte_in_a_host_leads_past_its_route_but_to_another_host() {
    let upstream = Upstream::start();
    let portcullis = Setup::new().start(&format!(
        r#"
        [defaults]
        upstream = "{}"
        [route]
        inner = {{ match = "inner.example/{{*rest}}", accept = "jwt" }}
        rest = {{ match = "/{{*rest}}", accept = "anyone" }}
        "#,
        upstream.url()
    ));
    let to = portcullis.address();
    let name = b"inner.example";
    for byte in 0..=255_u8 {
        for at in [0, 5, name.len()] {
            let host = [&name[..at], &[byte], &name[at..]].concat();
            let status = send(to, request(&[b"GET /x HTTP/1.1\r\nHost: ", &host])).status;
            let other = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let blank = matches!(byte, b' ' | b'\t') && at != 5;
            match (byte, at) {
                _ if other => assert_eq!(status, 200, "{}", host.escape_ascii()),
                // Blanks around a value are no part of it (RFC 9112, section 5), and a name may end in a dot.
                (b'.', 13) => assert_eq!(status, 401),
                _ if blank => assert_eq!(status, 401, "{}", host.escape_ascii()),
                _ => assert_eq!(status, 400, "{}", host.escape_ascii()),
            }
        }
    }
}

#[test]
fn f22_no_byte_in_any_place_makes_an_error_a_success() {
    let upstream = Upstream::start();
    let portcullis = Setup::new().start(&format!(
        "[route]\napp = {{ match = \"/{{*rest}}\", accept = [\"jwt\", \"api_key\", \"session\"], upstream = \"{}\" }}",
        upstream.url()
    ));
    let to = portcullis.address();
    let good = b"GET /a/b?c HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer a.b.c\r\nContent-Length: 1\r\n\r\nx";
    let mut answered = 0;
    for at in 0..good.len() {
        for byte in *b"\0\t\n\r %/#:.;\x7f\x80\xc0\xff" {
            let before = &good[..at];
            for bytes in [[before, &[byte], &good[at..]].concat(), [before, &[byte], &good[at + 1..]].concat()] {
                let answers = exchange(to, &bytes);
                for status in statuses(&answers) {
                    answered += 1;
                    assert!(status.starts_with(['4', '5']), "{status} to {}", bytes.escape_ascii());
                }
            }
        }
    }
    assert!(answered > 2000, "hardly anything was answered: {answered}");
    assert!(upstream.received().is_empty(), "{:?}", upstream.last());
}
