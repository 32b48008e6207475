//! Which route a request belongs to: by its host, path and method alone, and to one only.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::harness::http::{Wire, send};
use crate::harness::portcullis::{Portcullis, bearer};
use crate::harness::upstream::Upstream;

fn ask(to: SocketAddr, method: &str, host: &str, target: &str, headers: &str) -> u16 {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}");
    send(to, format!("{head}Content-Length: 0\r\n\r\n")).status
}

#[test]
fn f23_every_spelling_of_a_host_finds_the_stricter_route() {
    let (open, protected) = (Upstream::start(), Upstream::start());
    let portcullis = Portcullis::start(&format!(
        r#"
        [route]
        inner = {{ match = ["admin.example.com/{{*rest}}", "/secret/jam/{{*rest}}"], accept = "jwt", upstream = "{}" }}
        outer = {{ match = "/{{*rest}}", accept = "anyone", upstream = "{}" }}
        "#,
        protected.url(),
        open.url()
    ));
    let to = portcullis.address();
    for host in ["admin.example.com", "ADMIN.example.com", "Admin.Example.Com", "aDMIN.eXAMPLE.cOM"] {
        for suffix in ["", ".", ":80", ".:80", ":8443", ":080"] {
            let host = format!("{host}{suffix}");
            assert_eq!(ask(to, "GET", &host, "/", ""), 401, "{host}");
            assert_eq!(ask(to, "GET", &host, &format!("http://{host}/x"), ""), 401, "{host}");
        }
    }
    for host in
        ["admin.example.com..", "admin..example.com", ".admin.example.com", "admin.example.com:", "admin%2eexample.com"]
    {
        assert_eq!(ask(to, "GET", host, "/", ""), 400, "{host}");
    }
    for path in
        ["/secret/jam", "/secret/%6aam", "/secret/%6Aam", "/%73ecret/ja%6d", "/%73ecret/ja%6D/", "/secre%74/j%61m/x"]
    {
        assert_eq!(ask(to, "GET", "b.example", path, ""), 401, "{path}");
    }
    assert_eq!((open.received().len(), protected.received().len()), (0, 0));
    // Paths differ by case (RFC 3986, section 6.2.2.1), and so do these from the protected one.
    assert_eq!(ask(to, "GET", "b.example", "/SECRET/jam", ""), 200);
    assert_eq!(ask(to, "GET", "admin.example.com.evil.example", "/", ""), 200);
    assert_eq!(open.received().len(), 2);
}

#[test]
fn f24_a_request_has_one_route_whatever_else_it_says() {
    let (open, protected) = (Upstream::start(), Upstream::start());
    let portcullis = Portcullis::start(&format!(
        r#"
        [route]
        admin = {{ match = "/admin/{{*rest}}", accept = "jwt", upstream = "{}" }}
        posts = {{ match = "POST /public/{{*rest}}", accept = "jwt", upstream = "{0}" }}
        public = {{ match = "/public/{{*rest}}", accept = "anyone", upstream = "{}" }}
        "#,
        protected.url(),
        open.url()
    ));
    let to = portcullis.address();
    for header in [
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
        "X_Original_URL: /admin",
        "X-HTTP-Method-Override: POST",
        "X-HTTP-Method: POST",
        "X-Method-Override: POST",
        "x.method.override: POST",
        "X-Forwarded-Uri: /admin",
        "X-Forwarded-Method: POST",
    ] {
        let line = format!("{header}\r\n");
        assert_eq!(ask(to, "GET", "a.example", "/public/x", &line), 200, "{header}");
        let last = open.last();
        assert_eq!(last.line(), "GET /public/x HTTP/1.1", "{header}");
        let name: String = header.split(':').next().unwrap().to_lowercase().replace(['_', '.'], "-");
        assert!(!last.folded_names().contains(&name), "{header} reached the upstream");
        assert_eq!(ask(to, "GET", "a.example", "/admin", "X-Original-URL: /public/x\r\n"), 401);
        assert_eq!(ask(to, "POST", "a.example", "/public/x", "X-HTTP-Method-Override: GET\r\n"), 401);
    }
    assert!(protected.received().is_empty());
}

#[test]
fn f24_requests_of_one_connection_are_routed_one_by_one() {
    let (open, protected) = (Upstream::start(), Upstream::start());
    let portcullis = Portcullis::start(&format!(
        r#"
        [route]
        admin = {{ match = "/admin/{{*rest}}", accept = "jwt", upstream = "{}" }}
        public = {{ match = "/public/{{*rest}}", accept = "anyone", upstream = "{}" }}
        "#,
        protected.url(),
        open.url()
    ));
    let token = bearer(&portcullis.token(json!({})));
    let mut wire = Wire::connect(portcullis.address());
    let one = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n");
    let pipeline = [
        (one("/admin/1", &token), 200),
        (one("/public/2", ""), 200),
        (one("/admin/3", ""), 401),
        (one("/public/4", ""), 200),
        (one("/admin/5", &token), 200),
        (one("/admin/6", ""), 401),
    ];
    wire.write(pipeline.iter().map(|(text, _)| text.as_str()).collect::<String>());
    for (text, status) in &pipeline {
        assert_eq!(wire.read_answer().expect("an answer").status, *status, "{text}");
    }
    let targets = |upstream: &Upstream| upstream.received().iter().map(|r| r.target().to_owned()).collect::<Vec<_>>();
    assert_eq!(targets(&protected), ["/admin/1", "/admin/5"]);
    assert_eq!(targets(&open), ["/public/2", "/public/4"]);
}

#[test]
fn f25_a_dot_in_a_pattern_is_a_dot() {
    let upstream = Upstream::start();
    let portcullis = Portcullis::start(&format!(
        r#"
        [route]
        api = {{ match = "api.example.com/v1.0/{{*rest}}", accept = "anyone", upstream = "{0}" }}
        sub = {{ match = "*.example.org/{{*rest}}", accept = "anyone", upstream = "{0}" }}
        "#,
        upstream.url()
    ));
    let to = portcullis.address();
    assert_eq!(ask(to, "GET", "api.example.com", "/v1.0/x", ""), 200);
    assert_eq!(ask(to, "GET", "a.example.org", "/", ""), 200);
    assert_eq!(ask(to, "GET", "a.b.example.org", "/", ""), 200);
    let served = upstream.received().len();
    for (host, path) in [
        ("apiXexample.com", "/v1.0/x"),
        ("api.exampleXcom", "/v1.0/x"),
        ("api-example.com", "/v1.0/x"),
        ("xapi.example.com", "/v1.0/x"),
        ("api.example.com.evil", "/v1.0/x"),
        ("api.example.com", "/v1X0/x"),
        ("api.example.com", "/v1/0/x"),
        ("api.example.com", "/v1.00/x"),
        ("api.example.com", "/xv1.0/x"),
        ("example.org", "/"),
        ("evilexample.org", "/"),
        ("aXexample.org", "/"),
        ("a.exampleXorg", "/"),
        ("a.example.org.evil", "/"),
    ] {
        assert_eq!(ask(to, "GET", host, path, ""), 404, "{host}{path}");
    }
    assert_eq!(upstream.received().len(), served);
}

/// One request over HTTP/2 in clear text, its `:path` byte for byte: the answer's status, or `None` where the stream was
/// reset or the connection closed instead.
fn over_http2(to: SocketAddr, path: Option<&str>, authorization: Option<&str>) -> Option<u16> {
    // RFC 7541, section 6.2.2: literals without indexing, no Huffman code; names in the clear as well.
    let mut block = Vec::new();
    let fields =
        [(":method", Some("GET")), (":scheme", Some("http")), (":authority", Some("a.example")), (":path", path)];
    for (name, value) in fields.into_iter().chain([("authorization", authorization)]) {
        let Some(value) = value else { continue };
        block.push(0);
        for text in [name, value] {
            // A prefix of seven bits; what is longer goes on in groups of seven.
            match text.len() {
                short @ 0..127 => block.push(short as u8),
                long => {
                    let rest = long - 127;
                    block.push(127);
                    if rest < 128 {
                        block.push(rest as u8);
                    } else {
                        block.extend([(rest % 128) as u8 | 0x80, (rest / 128) as u8]);
                    }
                }
            }
            block.extend(text.as_bytes());
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend(&(block.len() as u32).to_be_bytes()[1..]);
    bytes.extend([1, 5, 0, 0, 0, 1]);
    bytes.extend(block);
    let mut stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(&bytes).expect("bytes can be sent");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).ok()?;
        match head[3] {
            1 => return Some(status(&payload)),
            3 | 7 => return None,
            _ => {}
        }
    }
}

/// `:status` stands first: from the static table (RFC 7541, appendix A), or as three digits after its name.
fn status(block: &[u8]) -> u16 {
    // A change of the table's size may precede it.
    let block = &block[block.iter().take_while(|b| **b & 0xe0 == 0x20).count()..];
    match block[0] {
        0x88 => 200,
        0x89 => 204,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        _ if block[1] == 3 => std::str::from_utf8(&block[2..5]).unwrap().parse().unwrap(),
        // Huffman codes of digits: 0, 1, 2 in five bits, 3 to 9 in six.
        _ => huffman_digits(&block[2..2 + usize::from(block[1] & 0x7f)]),
    }
}

fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: String = bytes.iter().map(|b| format!("{b:08b}")).collect();
    let (mut rest, mut value) = (bits.as_str(), 0);
    for _ in 0..3 {
        let five = u16::from_str_radix(&rest[..5], 2).unwrap();
        let (digit, length) =
            if five <= 2 { (five, 5) } else { (u16::from_str_radix(&rest[..6], 2).unwrap() - 0b01_1001 + 3, 6) };
        value = value * 10 + digit;
        rest = &rest[length..];
    }
    value
}

#[test]
fn f21_over_http_2_a_path_without_its_slash_is_refused() {
    let (open, protected) = (Upstream::start(), Upstream::start());
    let portcullis = Portcullis::start(&format!(
        r#"
        [route]
        admin = {{ match = "/admin/{{*rest}}", accept = "jwt", upstream = "{}" }}
        rest = {{ match = "/{{*rest}}", accept = "anyone", upstream = "{}" }}
        "#,
        protected.url(),
        open.url()
    ));
    let to = portcullis.address();
    assert_eq!(over_http2(to, Some("/x"), None), Some(200));
    assert_eq!(over_http2(to, Some("/admin"), None), Some(401));
    let token = format!("Bearer {}", portcullis.token(json!({})));
    assert_eq!(over_http2(to, Some("/admin"), Some(&token)), Some(200));
    assert_eq!((open.received().len(), protected.received().len()), (1, 1));
    for path in [
        "admin",
        "admin/users",
        "x",
        "",
        "*",
        "?x",
        "./admin",
        "../admin",
        "\\admin",
        "%2Fadmin",
        ";/admin",
        "a:80",
        "http://a.example/admin",
        "//admin",
        "/a/../admin",
        "/%2e%2e/admin",
        "/admin\\x",
        "/x/..;/admin",
    ] {
        // Either way it was not served.
        let status = over_http2(to, Some(path), None);
        assert!(matches!(status, Some(400) | None), "{path:?}: {status:?}");
    }
    let status = over_http2(to, None, None);
    assert!(matches!(status, Some(400) | None), "no path: {status:?}");
    assert_eq!((open.received().len(), protected.received().len()), (1, 1));
}

#[test]
fn f16_over_http_2_a_fragment_is_gone_before_anything_is_decided() {
    let (open, protected) = (Upstream::start(), Upstream::start());
    let portcullis = Portcullis::start(&format!(
        r#"
        [route]
        admin = {{ match = "/admin/{{*rest}}", accept = "jwt", upstream = "{}" }}
        rest = {{ match = "/{{*rest}}", accept = "anyone", upstream = "{}" }}
        "#,
        protected.url(),
        open.url()
    ));
    let to = portcullis.address();
    for path in ["/admin#/x", "/admin#", "/admin/x#/../../x", "/admin#?x"] {
        let status = over_http2(to, Some(path), None);
        assert!(matches!(status, Some(400 | 401) | None), "{path}: {status:?}");
    }
    for path in ["/x#/admin", "/#/../admin", "/x?y#/admin", "/x#"] {
        over_http2(to, Some(path), None);
    }
    assert!(protected.received().is_empty());
    assert!(open.received().iter().all(|r| !r.target().contains(['#']) && !r.target().contains("admin")));
}
