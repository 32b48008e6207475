//! Requests that are about the connection rather than about a resource: `Expect`, `HEAD`, `OPTIONS *`, `TRACE`, `CONNECT`.

use crate::harness::http::{Answer, Wire};
use crate::harness::portcullis::Portcullis;
use crate::harness::upstream::Upstream;

pub(super) fn start(upstream: &Upstream) -> Portcullis {
    Portcullis::start(&format!(
        r#"
        [defaults]
        upstream = "{}"
        [route]
        closed = {{ match = "/closed", accept = "jwt" }}
        open = {{ match = "/{{*rest}}", accept = "anyone" }}
        "#,
        upstream.url()
    ))
}

fn exchange(portcullis: &Portcullis, request: &str) -> (Wire, Answer) {
    let mut wire = Wire::connect(portcullis.address());
    let answer = wire.exchange(request);
    (wire, answer)
}

#[test]
fn a_client_that_waits_is_told_to_go_on_once_it_may() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let mut wire = Wire::connect(portcullis.address());
    for body in ["Content-Length: 5\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"] {
        let answer = wire.exchange(format!("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{body}"));
        assert_eq!((answer.status, answer.head.lines().count()), (100, 1), "{}", answer.head);
        let sent = if body.starts_with('C') { "hello" } else { "5\r\nhello\r\n0\r\n\r\n" };
        assert_eq!(wire.exchange(sent).status, 200);
        assert_eq!((upstream.last().body.as_slice(), upstream.last().value("expect")), (&b"hello"[..], None));
    }
    // Whoever does not wait is not told.
    let answer = wire.exchange("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_denial_is_no_invitation_to_send_the_body() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    for (line, status) in [
        ("POST /closed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue", 401),
        ("POST /a/../b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue", 400),
        ("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 200-ok", 417),
        ("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, 200-ok", 417),
        ("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue", 417),
    ] {
        let (mut wire, answer) = exchange(&portcullis, &format!("{line}\r\nContent-Length: 1000000\r\n\r\n"));
        assert_eq!((answer.status, answer.value("connection")), (status, Some("close")), "{line}");
        assert_eq!(wire.read_to_end(), b"", "{line}");
    }
    assert_eq!(upstream.received().len(), 0);
}

#[test]
fn an_http_1_0_client_does_not_know_of_waiting() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let head = "POST /x HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(exchange(&portcullis, &format!("{head}hello")).1.status, 200);
    assert_eq!(upstream.last().body, b"hello");
}

#[test]
fn f58_a_body_behind_an_answer_to_head_is_nobodys_answer() {
    let upstream = Upstream::answering(|request| {
        if request.line().starts_with("HEAD") {
            let poison = "HTTP/1.1 200 OK\r\nX-Poison: 1\r\nContent-Length: 6\r\n\r\npoison";
            return format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{poison}", poison.len()).into_bytes();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()
    });
    let portcullis = start(&upstream);
    for _ in 0..20 {
        let mut wire = Wire::connect(portcullis.address());
        // Pipelined, so that the second is sent on as soon as the first has its answer.
        wire.write("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = wire.read_until("\r\n\r\n").to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && head.contains("content-length: "), "{head}");
        let answer = wire.read_answer().expect("an answer");
        assert_eq!((answer.status, &*answer.body, answer.value("x-poison")), (200, "hello", None));
    }
}

#[test]
fn f60_what_is_about_the_server_or_a_tunnel_is_not_forwarded() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    for (line, status) in [
        ("OPTIONS * HTTP/1.1", 400),
        ("OPTIONS * HTTP/1.0", 400),
        ("TRACE /x HTTP/1.1", 405),
        ("TRACE /x HTTP/1.1\r\nMax-Forwards: 0", 405),
        ("CONNECT a:443 HTTP/1.1", 405),
        ("CONNECT a:443 HTTP/1.0", 405),
        ("CONNECT /x HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade", 405),
    ] {
        let (mut wire, answer) = exchange(&portcullis, &format!("{line}\r\nHost: a\r\n\r\nGET /z HTTP/1.1\r\n\r\n"));
        assert_eq!((answer.status, answer.value("connection")), (status, Some("close")), "{line}");
        assert_eq!(wire.read_to_end(), b"", "{line}");
    }
    assert_eq!(upstream.received().len(), 0);
    assert_eq!(exchange(&portcullis, "OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n").1.status, 200);
}

#[test]
fn f59_only_a_websocket_may_ask_to_upgrade() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    for (method, upgrade) in
        [("GET", "h2c"), ("GET", "websocket, h2c"), ("GET", "TLS/1.2"), ("POST", "websocket"), ("OPTIONS", "h2c")]
    {
        let (mut wire, answer) = exchange(
            &portcullis,
            &format!(
                "{method} /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\n\
                 HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
            ),
        );
        assert_eq!(answer.status, 200, "{upgrade}");
        let seen = upstream.last();
        assert_eq!((seen.value("upgrade"), seen.value("http2-settings")), (None, None));
        assert!(!seen.value("connection").unwrap_or_default().to_ascii_lowercase().contains("upgrade"));
        // What follows is the next request, and nothing else.
        assert_eq!(wire.exchange("GET /closed HTTP/1.1\r\nHost: a\r\n\r\n").status, 401);
    }
}
