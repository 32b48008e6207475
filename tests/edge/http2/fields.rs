//! Requests as fields and a body (RFC 9113, section 8), and what becomes of them on the way to HTTP/1.1.

use super::Want::{Malformed, Nothing, Status};
use super::{Case, World, case, is_one_well_formed};
use crate::harness::h2raw::*;

/// A request without a body, of exactly these fields.
fn of(fields: &[Field<'_>]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

/// A request that nothing is wrong with but these fields, which come last.
fn with(more: &[Field<'_>]) -> Vec<u8> {
    of(&[&get("/")[..], more].concat())
}

/// The same, where one of its pseudo-header fields has another value (`None`: is left out).
fn but(name: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let mut fields = get("/");
    fields.retain_mut(|field| match value {
        Some(value) if field.0 == name => {
            field.1 = value;
            true
        }
        _ => field.0 != name,
    });
    of(&fields)
}

fn malformed(what: &'static str, bytes: Vec<u8>) -> Case {
    case(what, Malformed, 1, bytes)
}

#[test]
fn pseudo_header_fields_are_complete_and_alone() {
    let (get, path): (Field<'_>, Field<'_>) = ((b":method", b"GET"), (b":path", b"/"));
    let (scheme, host): (Field<'_>, Field<'_>) = ((b":scheme", b"http"), (b":authority", b"shop.example"));
    World::start().run(vec![
        malformed("8.3.1: no :method", but(b":method", None)),
        malformed("8.3.1: no :scheme", but(b":scheme", None)),
        malformed("8.3.1: no :path", but(b":path", None)),
        malformed("8.3.1: an empty :path", but(b":path", Some(b""))),
        malformed("8.3.1: an empty :method", but(b":method", Some(b""))),
        malformed("8.3.1: :method twice", of(&[get, get, scheme, host, path])),
        malformed("8.3.1: :path twice", of(&[get, scheme, host, path, (b":path", b"/admin")])),
        malformed("8.3.1: :scheme twice", of(&[get, scheme, (b":scheme", b"https"), host, path])),
        malformed("8.3.1: :authority twice", of(&[get, scheme, host, (b":authority", b"b.example"), path])),
        malformed("8.3: after a regular field", of(&[get, scheme, host, (b"a", b"b"), path])),
        malformed("8.3: :authority after a regular field", of(&[get, scheme, path, (b"a", b"b"), host])),
        malformed("8.3: an unknown one", of(&[get, scheme, host, path, (b":unknown", b"x")])),
        malformed("8.3: one of answers", of(&[get, scheme, host, path, (b":status", b"200")])),
        malformed("8.3: an empty name", with(&[(b"", b"x")])),
        malformed("8.3: a colon alone", with(&[(b":", b"x")])),
        malformed(
            "RFC 8441, 4: :protocol without CONNECT",
            of(&[get, scheme, host, path, (b":protocol", b"websocket")]),
        ),
        malformed("8.3.1: no authority at all", but(b":authority", None)),
        malformed("8.3.1: an empty :authority", but(b":authority", Some(b""))),
        malformed("8.3.1: user information", but(b":authority", Some(b"u:p@shop.example"))),
    ]);
}

#[test]
fn f21_a_path_begins_with_a_slash() {
    let path = |text: &'static [u8]| but(b":path", Some(text));
    World::start().run(vec![
        malformed("no slash", path(b"admin")),
        malformed("a package of gRPC", path(b"orders.Orders/List")),
        malformed("a query alone", path(b"?a=b")),
        malformed("an absolute target", path(b"http://other.example/admin")),
        malformed("an authority", path(b"other.example:443")),
        malformed("a space", path(b"/a b")),
        malformed("another request", path(b"/ HTTP/1.1\r\nHost: a\r\n\r\nGET /admin")),
        malformed("a carriage return", path(b"/a\rb")),
        malformed("a line feed", path(b"/a\nb")),
        malformed("NUL", path(b"/a\0b")),
        malformed("a tab", path(b"/a\tb")),
        malformed("DEL", path(b"/a\x7fb")),
        malformed("*", path(b"*")),
    ]);
}

#[test]
fn f58_methods_and_hosts_make_no_request_line() {
    let method = |text: &'static [u8]| but(b":method", Some(text));
    let host = |text: &'static [u8]| but(b":authority", Some(text));
    let scheme = |text: &'static [u8]| but(b":scheme", Some(text));
    World::start().run(vec![
        malformed("a method with a space", method(b"GET /admin HTTP/1.1")),
        malformed("a method with a line break", method(b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\nGET")),
        malformed("a method with a colon", method(b"GET:")),
        malformed("a host with a space", host(b"a b")),
        malformed("a host with a line break", host(b"a\r\nx-injected: 1")),
        malformed("a host with a path", host(b"a/admin")),
        malformed("a host with a query", host(b"a?b")),
        malformed("a host with a fragment", host(b"a#b")),
        malformed("a host with a comma", host(b"a,b")),
        malformed("a host with a backslash", host(b"a\\b")),
        malformed("a host with a port that is none", host(b"a:b")),
        malformed("a scheme with a line break", scheme(b"http\r\nx: y")),
        malformed("a scheme with a slash", scheme(b"http://other.example/")),
        malformed("Host beside :authority, another one", with(&[(b"host", b"other.example")])),
        malformed("Host twice", with(&[(b"host", b"shop.example"), (b"host", b"shop.example")])),
    ]);
}

#[test]
fn connect_is_refused_in_each_of_its_forms() {
    let world = World::start();
    let (connect, host): (Field<'_>, Field<'_>) = ((b":method", b"CONNECT"), (b":authority", b"shop.example:443"));
    let (scheme, path): (Field<'_>, Field<'_>) = ((b":scheme", b"http"), (b":path", b"/"));
    let refused = |fields: &[Field<'_>]| {
        let mut client = world.open();
        client.head(1, fields);
        let outcome = client.outcome(1);
        assert!(
            matches!(outcome, Outcome::Reset(_) | Outcome::GoneAway(_) | Outcome::Answered(400..=599, _)),
            "{outcome:?}"
        );
    };
    refused(&[connect, host]);
    refused(&[connect, scheme, host, path]);
    refused(&[connect, scheme, host]);
    refused(&[connect, host, path]);
    refused(&[connect]);
    let protocol: Field<'_> = (b":protocol", b"websocket");
    refused(&[connect, protocol, scheme, host, path, (b"content-length", b"5")]);
    assert_eq!(world.after(0).len(), 0);
}

#[test]
fn f58_fields_of_the_connection_do_not_pass() {
    World::start().run(vec![
        malformed("8.2.2: Connection", with(&[(b"connection", b"close")])),
        malformed("8.2.2: Connection that names a field", with(&[(b"connection", b"x-auth-subject")])),
        malformed("8.2.2: Keep-Alive", with(&[(b"keep-alive", b"timeout=5")])),
        malformed("8.2.2: Proxy-Connection", with(&[(b"proxy-connection", b"keep-alive")])),
        malformed("8.2.2: Transfer-Encoding", with(&[(b"transfer-encoding", b"chunked")])),
        malformed("8.2.2: Transfer-Encoding, identity", with(&[(b"transfer-encoding", b"identity")])),
        malformed("8.2.2: Upgrade", with(&[(b"upgrade", b"h2c")])),
        malformed("8.2.2: TE other than trailers", with(&[(b"te", b"gzip")])),
        malformed("8.2.2: TE of several", with(&[(b"te", b"trailers, deflate")])),
        case("8.2.2: TE: trailers", Status(200), 1, with(&[(b"te", b"trailers")])),
    ]);
}

#[test]
fn f58_names_are_lower_case_tokens() {
    let mut cases = vec![
        malformed("8.2.1: upper case", with(&[(b"X-Upper", b"1")])),
        malformed("8.2.1: upper case of a known one", with(&[(b"Content-Length", b"0")])),
        malformed("8.2.1: upper case in a pseudo-header field", of(&[&get("/")[..3], &[(b":Path", b"/")]].concat())),
        malformed("8.2.1: a colon at the end", with(&[(b"x:", b"1")])),
        malformed("8.2.1: a colon within", with(&[(b"x: y\r\nz", b"1")])),
        malformed("8.2.1: a blank at the end", with(&[(b"transfer-encoding ", b"chunked")])),
        malformed("8.2.1: a blank at the front", with(&[(b" transfer-encoding", b"chunked")])),
        malformed("8.2.1: a line break", with(&[(b"x\r\ntransfer-encoding", b"chunked")])),
    ];
    for byte in (0..=0x20).chain(0x7f..=0xff).chain(*b"\"(),/;<=>?@[\\]{}") {
        let name = [b"x", &[byte][..], b"y"].concat();
        cases.push(malformed(
            Box::leak(format!("8.2.1: {byte:#04x} in a name").into_boxed_str()),
            with(&[(&name, b"1")]),
        ));
    }
    World::start().run(cases);
}

#[test]
fn f58_values_hold_no_line_break() {
    let mut cases = vec![
        malformed("8.2.1: a header behind a line break", with(&[(b"x", b"1\r\ntransfer-encoding: chunked")])),
        malformed("8.2.1: a request behind a line break", with(&[(b"x", b"1\r\n\r\nGET /admin HTTP/1.1\r\nHost: a")])),
        malformed("8.2.1: a header behind a bare line feed", with(&[(b"x", b"1\ncontent-length: 40")])),
        malformed("8.2.1: a fold", with(&[(b"x", b"1\r\n y")])),
        malformed("8.2.1: a line break in a cookie", with(&[(b"cookie", b"a=b\r\nx: y")])),
        malformed("8.2.1: a line break at the end", with(&[(b"x", b"1\r\n")])),
    ];
    for byte in (0..0x20).filter(|byte| *byte != b'\t').chain([0x7f]) {
        let value = [b"x", &[byte][..], b"y"].concat();
        cases.push(malformed(
            Box::leak(format!("8.2.1: {byte:#04x} in a value").into_boxed_str()),
            with(&[(b"x", &value)]),
        ));
    }
    World::start().run(cases);
}

#[test]
fn f58_a_length_is_kept_and_named_once() {
    let head = |length: &[Field<'_>], end: u8| {
        frame(HEADERS, END_HEADERS | end, 1, &block(&[&request(b"POST", "/")[..], length].concat()))
    };
    let five: &[Field<'_>] = &[(b"content-length", b"5")];
    let body = |bytes: &[u8], end: u8| frame(DATA, end, 1, bytes);
    let more = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes();
    let mut cases = vec![
        malformed("8.1.1: a length and no body", head(five, END_STREAM)),
        malformed("8.1.1: less than said", [head(five, 0), body(b"hell", END_STREAM)].concat()),
        malformed("8.1.1: more than said", [head(five, 0), body(b"hello!", END_STREAM)].concat()),
        malformed(
            "8.1.1: a request more than said",
            [head(five, 0), body(&[b"hello", more].concat(), END_STREAM)].concat(),
        ),
        malformed("8.1.1: more in another frame", [head(five, 0), body(b"hello", 0), body(more, END_STREAM)].concat()),
        malformed(
            "8.1.1: none said, some sent",
            [head(&[(b"content-length", b"0")], 0), body(more, END_STREAM)].concat(),
        ),
        malformed(
            "8.1.1: less than said, then trailers",
            [head(five, 0), body(b"hell", 0), frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[(b"x", b"y")]))]
                .concat(),
        ),
    ];
    for (what, lengths) in [
        ("two lengths", &[(&b"content-length"[..], &b"5"[..]), (b"content-length", b"6")][..]),
        ("the same length twice", &[(b"content-length", b"5"), (b"content-length", b"5")]),
        ("a list", &[(b"content-length", b"5, 5")]),
        ("a sign", &[(b"content-length", b"+5")]),
        ("hexadecimal", &[(b"content-length", b"0x5")]),
        ("a blank", &[(b"content-length", b" 5")]),
        ("more than fits", &[(b"content-length", b"18446744073709551621")]),
        ("nothing", &[(b"content-length", b"")]),
    ] {
        cases.push(malformed(what, [head(lengths, 0), body(b"hello", END_STREAM)].concat()));
    }
    World::start().run(cases);
}

#[test]
fn trailers_end_the_request_and_hold_no_pseudo_header_fields() {
    let trailers = |flags: u8, fields: &[Field<'_>]| {
        [
            frame(HEADERS, END_HEADERS, 1, &block(&request(b"POST", "/"))),
            frame(DATA, 0, 1, b"hello"),
            frame(HEADERS, END_HEADERS | flags, 1, &block(fields)),
        ]
        .concat()
    };
    let world = World::start();
    world.run(vec![
        malformed("8.1: that do not end", trailers(0, &[(b"x", b"y")])),
        malformed("8.1: :method", trailers(END_STREAM, &[(b"x", b"y"), (b":method", b"GET")])),
        malformed("8.1: a line break", trailers(END_STREAM, &[(b"x", b"y\r\n\r\nGET /admin HTTP/1.1")])),
        malformed("8.1: upper case", trailers(END_STREAM, &[(b"X", b"y")])),
        malformed("8.1: of the connection", trailers(END_STREAM, &[(b"transfer-encoding", b"chunked")])),
    ]);
    let mut client = world.open();
    client.send(trailers(END_STREAM, &[(b"x-sum", b"7"), (b"content-length", b"5"), (b"x-auth-subject", b"admin")]));
    assert_eq!(client.outcome(1), Outcome::Answered(200, "hello".into()));
    let seen = world.upstream.wait_for(1);
    let seen = seen.iter().find(|seen| seen.line().starts_with("POST")).expect("it was forwarded");
    assert_eq!((seen.body.as_slice(), is_one_well_formed(seen)), (&b"hello"[..], true));
    // Pseudo-header fields that come first in trailers are dropped by the library, and pass for that reason only.
    client.send(frame(HEADERS, END_HEADERS, 3, &block(&request(b"POST", "/"))));
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&[(b":path", b"/admin"), (b"x-sum", b"7")])));
    assert_eq!(client.outcome(3), Outcome::Answered(200, "hello".into()));
    assert!(world.upstream.last().trailers.iter().all(|line| !line.contains("admin")));
    assert!(seen.trailers.iter().all(|line| line.starts_with("x-sum")), "{:?}", seen.trailers);
}

#[test]
fn what_is_odd_and_allowed_comes_out_as_one_request() {
    let world = World::start();
    let ask = |fields: &[Field<'_>]| {
        let mut client = world.open();
        client.ask(1, fields);
        assert_eq!(client.outcome(1), Outcome::Answered(200, "hello".into()), "{fields:?}");
        let seen = world.upstream.last();
        assert!(is_one_well_formed(&seen), "{seen:?}");
        seen
    };
    // Section 8.2.3.
    let crumbs = ask(&[&get("/")[..], &[(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]].concat());
    assert_eq!(crumbs.value("cookie"), Some("a=1; b=2; c=3"));
    // Section 8.3.1: only Host, and no :authority.
    let host = ask(&[(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b"host", b"shop.example")]);
    assert_eq!(host.value("host"), Some("shop.example"));
    let both = ask(&[&get("/")[..], &[(b"host", b"shop.example")]].concat());
    assert_eq!(both.values("host"), ["shop.example"]);
    let query = ask(&get("/a?b=http://other.example/?c"));
    assert_eq!(query.target(), "/a?b=http://other.example/?c");
    // A scheme is told by nobody but the connection: it makes no https of this.
    let scheme =
        ask(&[(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"shop.example"), (b":path", b"/")]);
    assert_eq!((scheme.value("x-forwarded-proto"), scheme.line()), (Some("http"), "GET / HTTP/1.1"));
    // The library drops a fragment before anything of ours sees it, and what was decided on is what is sent on.
    let fragment = ask(&get("/a#/../admin"));
    assert_eq!(fragment.target(), "/a");
    let scheme = ask(&[(b":method", b"GET"), (b":scheme", b""), (b":authority", b"shop.example"), (b":path", b"/")]);
    assert_eq!(scheme.line(), "GET / HTTP/1.1");
    let bytes = ask(&[&get("/")[..], &[(b"x", b"\xe4\xff\t.")]].concat());
    assert_eq!(bytes.value("x"), Some("\u{e4}\u{ff}\t."));
}

#[test]
fn one_request_that_is_malformed_harms_no_other() {
    let world = World::start();
    let mut client = world.open();
    client.head(1, &request(b"POST", "/"));
    client.ask(3, &[&get("/")[..], &[(b"transfer-encoding", b"chunked")]].concat());
    client.send(frame(DATA, END_STREAM, 1, b"hello"));
    assert_eq!(client.outcome(1), Outcome::Answered(200, "hello".into()));
    world.run(vec![case("8.1.1: the connection", Nothing, 1, with(&[(b"te", b"gzip")]))]);
}
