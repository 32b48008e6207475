//! Methods, versions and framing between a client's connection and an upstream's.

use crate::harness::http::{self, Wire};
use crate::harness::portcullis::Portcullis;
use crate::harness::upstream::Upstream;

fn start(upstream: &Upstream) -> Portcullis {
    let route =
        format!(r#"[route.all]{}match = "/{{*rest}}"{0}accept = "anyone"{0}upstream = "{}""#, "\n", upstream.url());
    Portcullis::start(&route)
}

#[test]
fn method_target_and_body_arrive_as_they_were_sent() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let to = portcullis.address();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"] {
        for target in ["/", "/a%20b/%C3%A4?x=/../y&z=%2f%zz#"] {
            let target = target.trim_end_matches('#');
            let request =
                format!("{method} {target} HTTP/1.1\r\nHost: Shop.example:81\r\nContent-Length: 3\r\n\r\na\0b");
            assert_eq!(http::send(to, request).status, 200, "{method} {target}");
            let seen = upstream.last();
            assert_eq!(seen.line(), format!("{method} {target} HTTP/1.1"));
            assert_eq!((seen.body.as_slice(), seen.value("host")), (&b"a\0b"[..], Some("Shop.example:81")));
            assert_eq!((seen.value("content-length"), seen.value("transfer-encoding")), (Some("3"), None));
        }
    }
}

#[test]
fn a_chunked_request_arrives_whole_and_framed_once() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let request = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n";
    let mut wire = Wire::connect(portcullis.address());
    for _ in 0..2 {
        assert_eq!(wire.exchange(request).status, 200);
        let seen = upstream.last();
        assert_eq!(seen.body, b"hello world");
        assert_eq!((seen.value("transfer-encoding"), seen.value("content-length")), (Some("chunked"), None));
    }
    // Also with a method that seldom has a body.
    assert_eq!(wire.exchange(request.replace("POST", "GET")).status, 200);
    assert_eq!(upstream.last().body, b"hello world");
}

#[test]
fn an_answer_to_head_keeps_its_length_and_has_no_body() {
    let upstream = Upstream::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX-A: 1\r\n\r\n".to_vec());
    let portcullis = start(&upstream);
    let mut wire = Wire::connect(portcullis.address());
    for _ in 0..2 {
        wire.write("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = wire.read_until("\r\n\r\n").to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 1000"), "{head}");
    }
    assert_eq!(upstream.last().line(), "HEAD /x HTTP/1.1");
    wire.write("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wire.read_until("\r\n\r\n");
    assert_eq!(wire.read_to_end(), b"");
}

#[test]
fn answers_without_a_body_end_where_they_end() {
    for status in ["204 No Content", "304 Not Modified"] {
        let upstream = Upstream::answering(move |_| format!("HTTP/1.1 {status}\r\nETag: \"x\"\r\n\r\n").into_bytes());
        let portcullis = start(&upstream);
        let mut wire = Wire::connect(portcullis.address());
        for _ in 0..2 {
            let answer = wire.exchange("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!((answer.status.to_string(), answer.value("etag")), (status[..3].to_owned(), Some("\"x\"")));
        }
    }
}

#[test]
fn an_http_1_0_client_gets_an_answer_that_it_can_read() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".to_vec()
    });
    let portcullis = start(&upstream);
    let mut wire = Wire::connect(portcullis.address());
    let answer = wire.exchange("GET /x HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!((answer.status, answer.value("transfer-encoding"), &*answer.body), (200, None, "hello world"));
    assert_eq!(wire.read_to_end(), b"");
    assert_eq!(upstream.last().line(), "GET /x HTTP/1.1");
    // For 1.1 it is chunked again.
    let answer = http::get(portcullis.address(), "/x", "");
    assert_eq!((answer.value("transfer-encoding"), &*answer.body), (Some("chunked"), "hello world"));
}

#[test]
fn f58_what_could_be_framed_in_two_ways_reaches_nobody() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
        "POST /x HTTP/1.1\nHost: a\nContent-Length: 5\n\n",
    ] {
        let mut wire = Wire::connect(portcullis.address());
        let answer = wire.exchange(format!("{head}{smuggled}"));
        assert_eq!((answer.status, answer.value("connection")), (400, Some("close")), "{head}");
        assert_eq!(wire.read_to_end(), b"", "{head}: what followed was answered");
    }
    assert_eq!(upstream.received().len(), 0);
}

#[test]
fn one_connection_serves_many_requests_in_order() {
    let upstream = Upstream::answering(|request| {
        let target = request.target().to_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).into_bytes()
    });
    let portcullis = start(&upstream);
    let mut wire = Wire::connect(portcullis.address());
    let pipelined: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    wire.write(pipelined);
    for n in 0..20 {
        assert_eq!(wire.read_answer().expect("an answer").body, format!("/{n}"));
    }
}
