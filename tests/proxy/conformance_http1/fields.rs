//! Fields by RFC 9110, in requests that are passed on and in answers.

use std::sync::{Arc, Mutex};

use crate::harness::http::{Wire, get};
use crate::harness::portcullis::Portcullis;
use crate::harness::upstream::Upstream;

struct World {
    upstream: Upstream,
    portcullis: Portcullis,
    answer: Arc<Mutex<String>>,
}

/// An upstream whose next answers the test sets.
fn world() -> World {
    let answer = Arc::new(Mutex::new("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()));
    let said = Arc::clone(&answer);
    let upstream = Upstream::answering(move |_| said.lock().expect("no panic").clone().into_bytes());
    let portcullis = Portcullis::start(&format!(
        "[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"{}\"",
        upstream.url()
    ));
    World { upstream, portcullis, answer }
}

impl World {
    /// What the upstream sees of a `GET` with these field lines (each with its CRLF).
    fn seen(&self, fields: &str) -> crate::harness::upstream::Received {
        assert_eq!(get(self.portcullis.address(), "/x", fields).status, 200, "{fields:?}");
        self.upstream.last()
    }

    /// What the client sees of an answer.
    fn answered(&self, answer: &str) -> crate::harness::http::Answer {
        *self.answer.lock().expect("no panic") = answer.to_owned();
        get(self.portcullis.address(), "/x", "")
    }
}

#[test]
fn rfc9110_7_2_host_is_passed_on_and_stands_first_or_alone() {
    let world = world();
    let mut wire = Wire::connect(world.portcullis.address());
    for host in ["a.example", "A.Example:8080", "[::1]:80"] {
        assert_eq!(wire.exchange(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")).status, 200);
        assert_eq!(world.upstream.last().value("host"), Some(host));
        // Absolute-form: the host of the target counts, and they are the same.
        assert_eq!(wire.exchange(format!("GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n\r\n")).status, 200);
        assert_eq!(world.upstream.last().value("host"), Some(host));
    }
}

#[test]
fn rfc9110_7_6_1_connection_takes_what_it_names_and_itself() {
    let world = world();
    let seen = world.seen("Connection: x-a, X-B\r\nConnection: x-c\r\nX-A: 1\r\nx-b: 2\r\nX-C: 3\r\nX-D: 4\r\n");
    for gone in ["connection", "x-a", "x-b", "x-c"] {
        assert_eq!(seen.values(gone), Vec::<&str>::new(), "{gone}");
    }
    assert_eq!(seen.value("x-d"), Some("4"));
    for field in ["Keep-Alive: timeout=5", "Proxy-Connection: x", "TE: gzip", "Upgrade: h2c", "Transfer-Encoding_: x"] {
        let name = field.split(':').next().expect("a name");
        if name != "Transfer-Encoding_" {
            assert_eq!(world.seen(&format!("{field}\r\n")).values(name), Vec::<&str>::new(), "{field}");
        }
    }
    // Of an answer too.
    let answer = world.answered(
        "HTTP/1.1 200 OK\r\nConnection: x-a\r\nX-A: 1\r\nX-B: 2\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n\
         Proxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok",
    );
    assert_eq!((answer.status, answer.value("x-a"), answer.value("x-b")), (200, None, Some("2")));
    for gone in ["keep-alive", "upgrade", "proxy-authenticate"] {
        assert_eq!(answer.value(gone), None, "{gone}");
    }
}

#[test]
fn rfc9110_10_1_1_expect() {
    let world = world();
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n";
    let mut wire = Wire::connect(world.portcullis.address());
    wire.write(format!("{head}Expect: 100-continue\r\n\r\n"));
    assert_eq!(wire.read_answer().expect("an interim answer").status, 100);
    assert_eq!(wire.exchange("abc").status, 200);
    assert_eq!((world.upstream.last().body, world.upstream.last().values("expect").len()), (b"abc".to_vec(), 0));
    // MUST NOT be sent where nobody asked, nor to HTTP/1.0.
    assert_eq!(wire.exchange(format!("{head}\r\nabc")).status, 200);
    let old = head.replace("1.1", "1.0");
    assert_eq!(
        Wire::connect(world.portcullis.address()).exchange(format!("{old}Expect: 100-continue\r\n\r\nabc")).status,
        200
    );
    // A final answer instead, where there is no body to wait for.
    let none = "GET /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(Wire::connect(world.portcullis.address()).exchange(none).status, 200);
}

#[test]
fn rfc9110_10_1_4_te_says_trailers_or_nothing() {
    let world = world();
    assert_eq!(world.seen("TE: trailers, gzip;q=0.5\r\n").value("te"), Some("trailers"));
    assert_eq!(world.seen("TE: deflate\r\n").values("te"), Vec::<&str>::new());
}

#[test]
fn rfc9110_6_5_trailers_that_may_not_be_merged_stay_behind() {
    let world = world();
    let body = "3\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nHost: evil\r\nTransfer-Encoding: x\r\nAuthorization: x\r\n\
                X-Forwarded-For: 1.2.3.4\r\n\r\n";
    let request = format!(
        "POST /x HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum, Content-Length, Host, Transfer-Encoding, X-Forwarded-For\r\n\
         Transfer-Encoding: chunked\r\n\r\n{body}"
    );
    assert_eq!(Wire::connect(world.portcullis.address()).exchange(request).status, 200);
    let trailers: Vec<String> = world.upstream.last().trailers.iter().map(|line| line.to_ascii_lowercase()).collect();
    assert_eq!(trailers, ["x-sum: 1"]);
}

#[test]
fn rfc9110_6_6_1_every_final_answer_has_one_date() {
    let world = world();
    let body = "Content-Length: 2\r\n\r\nok";
    let own = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(world.answered(&format!("HTTP/1.1 200 OK\r\nDate: {own}\r\n{body}")).values("date"), [own]);
    assert_eq!(world.answered(&format!("HTTP/1.1 200 OK\r\n{body}")).values("date").len(), 1);
    // Ours too.
    let refused = Wire::connect(world.portcullis.address()).exchange("GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((refused.status, refused.values("date").len()), (400, 1));
}

#[test]
fn rfc9110_8_6_content_length_of_answers_without_a_body() {
    let world = world();
    // 15.3.5: MUST NOT be sent with 204.
    let answer = world.answered("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((answer.status, answer.value("content-length"), answer.value("transfer-encoding")), (204, None, None));
    // With 304 it is what the body would have had, or it is left out.
    let answer = world.answered("HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\nETag: \"x\"\r\n\r\n");
    assert_eq!(answer.status, 304);
    assert!(matches!(answer.value("content-length"), None | Some("50")), "{}", answer.head);
}

#[test]
fn rfc9110_9_3_2_head_is_get_without_a_body_also_where_we_answer() {
    let world = world();
    for target in ["/x//y", "/x;y"] {
        let answer = |method: &str| {
            let mut wire = Wire::connect(world.portcullis.address());
            wire.write(format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
            String::from_utf8(wire.read_to_end()).expect("text")
        };
        let (got, head) = (answer("GET"), answer("HEAD"));
        assert!(head.ends_with("\r\n\r\n") && !got.ends_with("\r\n\r\n"), "{head}");
        let names = |text: &str| -> Vec<String> {
            let lines = text.split("\r\n").skip(1).take_while(|line| !line.is_empty());
            lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
        };
        assert_eq!(names(&got), names(&head));
    }
}

#[test]
fn rfc9110_7_8_upgrade_is_for_one_hop_and_for_what_is_known() {
    let world = world();
    for upgrade in ["h2c", "TLS/1.0", "HTTP/2.0", "foo, websocket", "websocket"] {
        // Without the key and version of RFC 6455 a WebSocket is no WebSocket either.
        let seen = world.seen(&format!("Upgrade: {upgrade}\r\n"));
        assert_eq!((seen.values("upgrade").len(), seen.values("connection").len()), (0, 0), "{upgrade}");
    }
}
