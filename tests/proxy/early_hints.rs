//! What becomes of an upstream's `103 Early Hints`.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::harness::http::{Answer, Wire};
use crate::harness::portcullis::{Portcullis, Setup};

/// Only so that a broken test ends.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An upstream that says what it is told to, when it is told.
pub(super) struct Origin {
    address: SocketAddr,
    asked: Receiver<TcpStream>,
}

impl Origin {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (asks, asked) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asks = asks.clone();
                thread::spawn(move || tell_heads(stream, &asks));
            }
        });
        Self { address, asked }
    }

    /// The connection on which a request has arrived.
    pub(super) fn asked(&self) -> TcpStream {
        self.asked.recv_timeout(PATIENCE).expect("a request")
    }
}

fn tell_heads(mut stream: TcpStream, asks: &Sender<TcpStream>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while let Ok(1) = stream.read(&mut byte) {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if asks.send(stream.try_clone().expect("a handle")).is_err() {
                return;
            }
        }
    }
}

pub(super) fn say(upstream: &mut TcpStream, text: impl AsRef<[u8]>) {
    upstream.write_all(text.as_ref()).expect("somebody listens");
}

pub(super) fn portcullis(origin: &Origin) -> Portcullis {
    Portcullis::start(&format!(
        r#"
        [defaults]
        upstream = "http://{}"
        [route]
        hints = {{ match = "/hints/{{*rest}}", accept = "anyone", early_hints = true }}
        without = {{ match = "/without/{{*rest}}", accept = "anyone" }}
        removed = {{ match = "/removed/{{*rest}}", accept = "anyone", early_hints = true, response_headers = {{ remove = ["link"] }} }}
        "#,
        origin.address
    ))
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn next(wire: &mut Wire) -> Answer {
    wire.read_answer().expect("an answer")
}

/// The names of an answer's headers.
fn names(answer: &Answer) -> Vec<&str> {
    answer.head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0)).collect()
}

#[test]
fn the_client_has_the_hints_before_the_upstream_has_the_answer() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut wire = Wire::connect(portcullis.address());
    for _ in 0..2 {
        wire.write(get("/hints/a"));
        let mut upstream = origin.asked();
        for link in ["</a.css>; rel=preload", "</b.js>; rel=preload"] {
            say(&mut upstream, format!("HTTP/1.1 103 Early Hints\r\nLink: {link}\r\n\r\n"));
            let hint = next(&mut wire);
            assert_eq!((hint.status, hint.values("link")), (103, vec![link]));
        }
        // The upstream has said no more than that.
        say(&mut upstream, OK);
        let answer = next(&mut wire);
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    }
}

#[test]
fn pipelined_requests_get_each_its_own_hints() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut wire = Wire::connect(portcullis.address());
    wire.write([get("/hints/1"), get("/hints/2"), get("/hints/3")].concat());
    for number in 1..=3 {
        let mut upstream = origin.asked();
        say(&mut upstream, format!("HTTP/1.1 103 Early Hints\r\nLink: </{number}>\r\n\r\n"));
        let hint = next(&mut wire);
        assert_eq!((hint.status, hint.value("link")), (103, Some(&*format!("</{number}>"))));
        say(&mut upstream, format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}"));
        let answer = next(&mut wire);
        assert_eq!((answer.status, answer.body), (200, number.to_string()));
    }
}

#[test]
fn f05_a_hint_carries_links_and_nothing_else() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut wire = Wire::connect(portcullis.address());
    wire.write(get("/hints/a"));
    let mut upstream = origin.asked();
    // What has no link is no hint, and other interim answers are not the client's.
    say(&mut upstream, "HTTP/1.1 103 Early Hints\r\nSet-Cookie: __Host-session=x\r\n\r\n");
    say(&mut upstream, "HTTP/1.1 103 Early Hints\r\nConnection: link\r\nLink: </hop>\r\n\r\n");
    say(&mut upstream, "HTTP/1.1 102 Processing\r\nLink: </102>\r\n\r\nHTTP/1.1 199 Odd\r\nLink: </199>\r\n\r\n");
    say(
        &mut upstream,
        "HTTP/1.1 103 Early Hints\r\nSet-Cookie: __Host-session=x\r\nX-Auth-Subject: mallory\r\nContent-Length: 5\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\nStrict-Transport-Security: max-age=0\r\nLink: </a>\r\n\
         Content-Security-Policy: x\r\nLink: </b>\r\n\r\n",
    );
    let hint = next(&mut wire);
    assert_eq!((hint.status, hint.values("link")), (103, vec!["</a>", "</b>"]));
    assert_eq!(names(&hint), ["link", "link"]);
    say(&mut upstream, OK);
    assert_eq!(next(&mut wire).status, 200);
}

/// Has the worker look at what has arrived: it takes a turn for this.
pub(super) fn settle(portcullis: &Portcullis) {
    for _ in 0..3 {
        assert_eq!(crate::harness::http::send(portcullis.address(), get("/nowhere")).status, 404);
    }
}

#[test]
fn a_route_without_the_setting_and_a_client_of_http_1_0_see_none() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    for request in [get("/without/a"), get("/removed/a"), "GET /hints/a HTTP/1.0\r\nHost: a\r\n\r\n".to_owned()] {
        let mut wire = Wire::connect(portcullis.address());
        wire.write(&request);
        let mut upstream = origin.asked();
        say(&mut upstream, HINT);
        settle(&portcullis);
        say(&mut upstream, OK);
        assert_eq!(next(&mut wire).status, 200, "{request}");
    }
}

#[test]
fn f61_an_upstream_that_does_not_stop_hinting_is_cut_short() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut wire = Wire::connect(portcullis.address());
    wire.write(get("/hints/a"));
    let mut upstream = origin.asked();
    let long = format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "x".repeat(10_000));
    say(&mut upstream, format!("{long}{}", HINT.repeat(1000)));
    for _ in 0..8 {
        assert_eq!(next(&mut wire).value("link"), Some("</a.css>; rel=preload"));
    }
    say(&mut upstream, OK);
    assert_eq!(next(&mut wire).status, 200);
    // The next answer has hints of its own again.
    wire.write(get("/hints/b"));
    let mut upstream = origin.asked();
    say(&mut upstream, HINT);
    assert_eq!(next(&mut wire).status, 103);
    say(&mut upstream, OK);
    assert_eq!(next(&mut wire).status, 200);
}

#[test]
fn after_a_hint_there_may_be_a_denial() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut wire = Wire::connect(portcullis.address());
    wire.write(get("/hints/a"));
    let mut upstream = origin.asked();
    say(&mut upstream, HINT);
    assert_eq!(next(&mut wire).status, 103);
    upstream.shutdown(Shutdown::Both).expect("an open connection");
    let answer = next(&mut wire);
    assert_eq!((answer.status, &answer.json()["type"]), (502, &"urn:portcullis:upstream_failed".into()));
    wire.write(get("/nowhere"));
    assert_eq!(next(&mut wire).status, 404);
    wire.write(get("/hints/b"));
    let mut upstream = origin.asked();
    say(&mut upstream, HINT);
    assert_eq!(next(&mut wire).status, 103);
    say(&mut upstream, OK);
    assert_eq!(next(&mut wire).status, 200);
}

#[test]
fn f59_a_handshake_has_no_hints() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut wire = Wire::connect(portcullis.address());
    wire.write(
        "GET /hints/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let mut upstream = origin.asked();
    say(&mut upstream, HINT);
    settle(&portcullis);
    say(&mut upstream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(next(&mut wire).status, 101);
}

#[test]
fn what_a_request_is_refused_for_has_no_hints() {
    let origin = Origin::start();
    let portcullis = Setup::new().start(&format!(
        "[defaults]\nupstream = \"http://{}\"\nearly_hints = true\n[route]\nall = {{ match = \"/{{*rest}}\", accept = \"session\" }}",
        origin.address
    ));
    let mut wire = Wire::connect(portcullis.address());
    wire.write(get("/a"));
    assert_eq!(next(&mut wire).status, 401);
    assert!(origin.asked.try_recv().is_err());
}
