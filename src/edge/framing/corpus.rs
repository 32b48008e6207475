//! Raw heads and what the guard says of them.

use super::{Framing, FramingLimits, Next};
use crate::model::denial::Reason::{
    self, AmbiguousFraming, Backslash, ControlCharacter, Fragment, HeadTooLarge, InvalidHost, MethodRefused, TargetForm,
};

pub(in crate::edge) const LIMITS: FramingLimits = FramingLimits { max_head_bytes: 512, max_fields: 8 };

/// Heads that must pass whole.
pub(super) const PASS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a?b=c&d=%23 HTTP/1.1\r\nhost:a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:   a.example:8080 \t \r\nX-Empty:\r\nX-Tab: a\tb\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://a.example/x HTTP/1.1\r\nHost: A.example\r\n\r\n",
    "GET http://a.example:80?x HTTP/1.1\r\nHost: a.example:80\r\n\r\n",
    "GET HTTPS://A/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "M-SEARCH /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /{a}|b^c'e\"f?`g HTTP/1.1\r\nHost: a\r\nX-Latin: caf\u{e9}\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nX: content-length: 5\r\n\r\n",
    "GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\nf: 6\r\ng: 7\r\nHost: a\r\n\r\n",
];

/// Heads that must be refused, and why.
pub(in crate::edge) const REFUSE: &[(&str, Reason)] = &[
    // The target.
    ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Fragment),
    ("GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n", Fragment),
    ("GET # HTTP/1.1\r\nHost: a\r\n\r\n", Fragment),
    ("GET http://a/#x HTTP/1.1\r\nHost: a\r\n\r\n", Fragment),
    ("GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", Backslash),
    ("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", ControlCharacter),
    ("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", ControlCharacter),
    ("GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", ControlCharacter),
    ("GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", ControlCharacter),
    ("GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET /<a> HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET /a`b HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET /a?b\"c HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET http:///a HTTP/1.1\r\nHost:\r\n\r\n", TargetForm),
    ("GET http://a:b:c/ HTTP/1.1\r\nHost: a:b:c\r\n\r\n", TargetForm),
    ("GET http://[::1/ HTTP/1.1\r\nHost: [::1\r\n\r\n", TargetForm),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", TargetForm),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", TargetForm),
    ("GET http://a/ HTTP/1.1\r\n\r\n", InvalidHost),
    ("GET http://a/ HTTP/1.0\r\n\r\n", InvalidHost),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", MethodRefused),
    ("CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", MethodRefused),
    // The request line.
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("\tGET / HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("\r\n GET / HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("\0GET / HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("\x16\x03\x01\x02", AmbiguousFraming),
    ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("GET /\r\n", AmbiguousFraming),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/01.1\r\nHost: a\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\nHost: a\n\n", AmbiguousFraming),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", AmbiguousFraming),
    // Field lines.
    ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nX(Y): z\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\0: z\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \x0b\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", AmbiguousFraming),
    ("GET / HTTP/1.1\r\nHost: a\r\nCaf\u{e9}: z\r\n\r\n", AmbiguousFraming),
    // Length.
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\nCONTENT-LENGTH: 5\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e3\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", AmbiguousFraming),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        AmbiguousFraming,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        AmbiguousFraming,
    ),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", AmbiguousFraming),
    ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", AmbiguousFraming),
    // Host.
    ("GET / HTTP/1.1\r\n\r\n", InvalidHost),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", InvalidHost),
    ("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", InvalidHost),
    ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", InvalidHost),
    ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", InvalidHost),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", InvalidHost),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", InvalidHost),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", InvalidHost),
    ("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", InvalidHost),
    ("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", InvalidHost),
    // Size.
    ("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\nf: 6\r\ng: 7\r\nh: 8\r\nHost: a\r\n\r\n", HeadTooLarge),
];

#[test]
fn heads_that_read_in_one_way_pass() {
    for head in PASS {
        let mut framing = Framing::new(LIMITS);
        let fed = framing.feed(head.as_bytes());
        assert_eq!((fed.pass, fed.next), (head.len(), Next::Read), "{head:?}");
        assert_eq!(framing.heads(), 1, "{head:?}");
        assert!(framing.between_messages(), "{head:?}");
    }
}

#[test]
fn f08_f16_f58_heads_that_two_parsers_could_read_differently_are_refused() {
    assert!(REFUSE.len() >= 60);
    for (head, reason) in REFUSE {
        let mut framing = Framing::new(LIMITS);
        let fed = framing.feed(head.as_bytes());
        assert_eq!((fed.pass, fed.next), (0, Next::Refuse(*reason)), "{head:?}");
        assert_eq!(framing.heads(), 0, "{head:?}");
        // Nothing that follows can change it.
        assert_eq!(framing.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").next, Next::Refuse(*reason), "{head:?}");
    }
}

#[test]
fn f61_a_head_without_end_is_refused_at_the_limit() {
    for filler in ["GET / HTTP/1.1\r\nHost: a\r\nX: ", "GET /", "G"] {
        let mut endless = filler.as_bytes().to_vec();
        endless.resize(LIMITS.max_head_bytes, b'a');
        let mut framing = Framing::new(LIMITS);
        assert_eq!(framing.feed(&endless).next, Next::Read, "{filler:?}");
        endless.push(b'a');
        assert_eq!(framing.feed(&endless).next, Next::Refuse(HeadTooLarge), "{filler:?}");
    }
}
