//! Requests by RFC 9112, section by section, where a server can be caught.

use crate::harness::http::Wire;
use crate::proxy::corpus::strict;
use crate::proxy::corpus::table::{End, SMUGGLED, Table, chunked, get, post};
use crate::proxy::corpus::{run, world};

#[test]
fn rfc9112_2_2_message_parsing() {
    let mut table = Table::new("9112 2.2");
    // SHOULD ignore at least one empty line before the request line.
    table.served(format!("\r\n{}", get("")), "GET /x");
    // MAY recognize a single LF, and must not where it is followed as another parser would: refused.
    table.refused(400, "GET /x HTTP/1.1\nHost: a\n\n");
    // A bare CR: MUST consider it invalid or replace it.
    table.refused(400, get("X: a\rb\r\n"));
    table.refused(400, "GET /x\r HTTP/1.1\r\nHost: a\r\n\r\n");
    // White space between the request line and the first field: MUST reject or ignore those lines.
    table.refused(400, "GET /x HTTP/1.1\r\n Host: a\r\n\r\n");
    table.refused(400, "GET /x HTTP/1.1\r\n \r\nHost: a\r\n\r\n");
    // What is no HTTP: SHOULD answer 400 and close.
    table.refused(400, "hello\r\n\r\n");
    run([table]);
}

#[test]
fn rfc9112_2_3_and_2_5_versions() {
    let mut table = Table::new("9112 2.3");
    table.refused(400, "GET /x http/1.1\r\nHost: a\r\n\r\n");
    table.refused(400, "GET /x HTTP/2.0\r\nHost: a\r\n\r\n");
    table.refused(400, "GET /x HTTP/1.2\r\nHost: a\r\n\r\n");
    table.add("GET /x HTTP/1.0\r\nHost: a\r\n\r\n", &["GET /x"], End::Closed);
    run([table]);
}

#[test]
fn rfc9112_3_request_lines() {
    let mut table = Table::new("9112 3");
    // Methods are case-sensitive, and unknown ones are the upstream's to know.
    for method in ["GET", "get", "OPTIONS", "DELETE", "PROPFIND", "X-1!#$%&'*+.^_`|~"] {
        table.served(format!("{method} /x HTTP/1.1\r\nHost: a\r\n\r\n"), &format!("{method} /x"));
    }
    // Invalid request lines: SHOULD be 400, and SHOULD NOT be mended.
    table.refused(400, "GET /x y HTTP/1.1\r\nHost: a\r\n\r\n");
    table.refused(400, "GET /x\r\nHost: a\r\n\r\n");
    // RECOMMENDED to take 8000 octets.
    let long = format!("/{}", "a".repeat(8000));
    table.served(format!("GET {long} HTTP/1.1\r\nHost: a\r\n\r\n"), &format!("GET {long}"));
    run([table]);
}

#[test]
fn rfc9112_3_2_targets_and_hosts() {
    let mut table = Table::new("9112 3.2");
    // MUST be 400 without Host, with several, with an invalid one.
    table.refused(400, "GET /x HTTP/1.1\r\n\r\n");
    table.refused(400, "GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    table.refused(400, "GET /x HTTP/1.1\r\nHost: a b\r\n\r\n");
    // 3.2.1: origin-form. 3.2.2: absolute-form MUST be accepted, and reaches the upstream in origin-form.
    table.served("GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y");
    table.served("GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y");
    table.served("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /");
    // 3.2.3: authority-form is for CONNECT. 3.2.4: asterisk-form is for OPTIONS.
    table.refused(405, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    table.refused(400, "GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    table.refused(400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n");
    run([table]);
}

#[test]
fn rfc9112_5_field_lines() {
    let mut table = Table::new("9112 5");
    // 5.1: white space before the colon MUST be 400. Optional white space around the value is no part of it.
    table.refused(400, get("X : y\r\n"));
    table.served(get("X:y\r\n"), "GET /x");
    table.served(get("X:  y\t\r\n"), "GET /x");
    // 5.2: a folded line MUST be 400 or replaced by spaces.
    table.refused(400, get("X: y\r\n z\r\n"));
    run([table]);
}

#[test]
fn rfc9112_6_message_bodies() {
    let mut table = Table::new("9112 6");
    // 6.1: a coding and a length: refused. A coding that is not understood: SHOULD be 501; refused as ambiguous.
    table.refused(400, post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"));
    table.refused(400, post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"));
    // 6.1: a coding in HTTP/1.0 MUST be treated as faulty framing.
    table.refused(400, "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    // 6.3 (4): chunked that is not last MUST be 400. (5): an invalid length MUST be 400.
    table.refused(400, post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"));
    table.refused(400, post("Content-Length: 3x\r\n", "abc"));
    table.refused(400, post("Content-Length: 3, 4\r\n", "abc"));
    // 6.3 (5): a list of one and the same length MAY be taken or refused.
    table.refused(400, post("Content-Length: 3, 3\r\n", "abc"));
    // 6.3 (7): neither is no body.
    table.add(post("", SMUGGLED), &["POST /x", "GET /smuggled"], End::Open);
    // The method says nothing of the framing.
    table.served(get("Content-Length: 3\r\n") + "abc", "GET /x abc");
    run([table]);
}

#[test]
fn rfc9112_7_chunked() {
    let mut table = Table::new("9112 7.1");
    table.served(chunked("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), "POST /x abc");
    // 7.1: sizes are hexadecimal in either case, and MUST NOT overflow.
    table.served(chunked("C\r\n0123456789ab\r\n0\r\n\r\n"), "POST /x 0123456789ab");
    table.broken(chunked("10000000000000001\r\na\r\n0\r\n\r\n"));
    // 7.1.1: extensions MUST be ignored, and SHOULD be limited.
    table.served(chunked("3;a;b=c;d=\"e\"\r\nabc\r\n0\r\n\r\n"), "POST /x abc");
    table.broken(chunked(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(20_000))));
    // 7.1.2: trailers are read to their end.
    table.served(chunked("3\r\nabc\r\n0\r\nX: y\r\nZ: 1\r\n\r\n"), "POST /x abc");
    run([table]);
}

#[test]
fn rfc9112_8_incomplete_requests_reach_nobody_whole() {
    let world = world();
    let (sized, pieces) = (post("Content-Length: 5\r\n", "hello"), chunked("5\r\nhello\r\n0\r\n\r\n"));
    for whole in [sized, pieces] {
        for cut in 1..whole.len() {
            let mut wire = Wire::connect(world.portcullis.address());
            wire.write(&whole.as_bytes()[..cut]);
            // The client is gone; whatever comes back, it is no success.
            wire.finish();
            let raw = wire.read_to_end();
            assert!(!raw.windows(4).any(|bytes| bytes == b" 200"), "{:?}", &whole[..cut]);
        }
    }
    let seen = world.recorder.take();
    assert!(seen.requests.is_empty() && seen.faults.is_empty(), "{seen:?}");
}

#[test]
fn rfc9112_9_3_persistence() {
    let mut table = Table::new("9112 9.3");
    for (fields, end) in [
        ("", End::Open),
        ("Connection: keep-alive\r\n", End::Open),
        ("Connection: close\r\n", End::Closed),
        ("Connection: CLOSE\r\n", End::Closed),
        ("Connection: x, close, y\r\n", End::Closed),
        ("Connection: keep-alive\r\nConnection: close\r\n", End::Closed),
    ] {
        table.add(get(fields), &["GET /x"], end);
    }
    let old = |fields: &str| format!("GET /x HTTP/1.0\r\nHost: a\r\n{fields}\r\n");
    table.add(old(""), &["GET /x"], End::Closed);
    table.add(old("Connection: keep-alive\r\n"), &["GET /x"], End::Open);
    table.add(old("Connection: keep-alive, close\r\n"), &["GET /x"], End::Closed);
    // 9.3.2: pipelined requests are answered in their order (the driver compares them one by one).
    table.add(get("").repeat(5), &["GET /x"; 5], End::Open);
    run([table]);
}

#[test]
fn rfc9112_9_6_a_connection_that_will_end_says_so() {
    let world = world();
    let ask = |request: &str| {
        let mut wire = Wire::connect(world.portcullis.address());
        wire.write(request);
        let raw = wire.read_to_end();
        let (answer, length) = strict::answer(&raw, "GET").expect("an answer").expect("a whole one");
        assert_eq!(length, raw.len(), "{request:?}: more than one answer");
        answer.values("connection").iter().any(|value| value.eq_ignore_ascii_case(b"close"))
    };
    assert!(ask(&get("Connection: close\r\n")));
    assert!(ask(&get("X : y\r\n")), "a refusal");
    assert!(ask("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"));
}
