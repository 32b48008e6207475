//! Ending: what has begun is finished, and nothing new begins.

use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::thread;

use portcullis::app::Drained;

use crate::harness::http::Wire;
use crate::harness::portcullis::Portcullis;
use crate::harness::streams::Streams;
use crate::harness::upstream::Upstream;

#[test]
fn draining_finishes_the_request_in_flight_and_takes_no_other() {
    let (arrived, has_arrived) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let gates = Mutex::new((arrived, released));
    let upstream = Upstream::answering(move |request| {
        if request.target() == "/slow" {
            let gates = gates.lock().expect("no panic");
            gates.0.send(()).expect("the test goes on");
            gates.1.recv().expect("the test goes on");
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()
    });
    let route = format!("[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"{}\"", upstream.url());
    let portcullis = Portcullis::start(&route);
    let to = portcullis.address();

    // One connection that is idle between requests, and one whose request is under way.
    let mut idle = Wire::connect(to);
    let first = idle.exchange("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((first.status, first.value("connection")), (200, None));
    let mut busy = Wire::connect(to);
    busy.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    has_arrived.recv().expect("the request is under way");

    let ending = thread::spawn(move || portcullis.shutdown());
    // Draining has begun once the idle connection is told so; then nobody listens any more, or soon.
    assert_eq!(idle.read_to_end(), b"");
    while TcpStream::connect(to).is_ok() {
        thread::yield_now();
    }
    assert!(!ending.is_finished(), "it did not wait for the request in flight");
    release.send(()).expect("the upstream waits");
    let answer = busy.read_answer().expect("the answer to the request in flight");
    assert_eq!((answer.status, &*answer.body, answer.value("connection")), (200, "hello", Some("close")));
    assert_eq!(busy.read_to_end(), b"");
    assert_eq!(ending.join().expect("it ends"), Drained::Completely);
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn draining_closes_websockets_with_a_word_to_both_sides() {
    let streams = Streams::start();
    let portcullis = Portcullis::start(&format!(
        "[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"{}\"",
        streams.url()
    ));
    let open = |path: &str| {
        let mut wire = Wire::connect(portcullis.address());
        wire.write(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ));
        assert!(wire.read_until("\r\n\r\n").starts_with("HTTP/1.1 101"));
        wire
    };
    let (mut quiet, mut busy) = (open("/ws/quiet"), open("/ws/ticks"));
    assert_eq!(quiet.read_exactly(4), b"\x81\x02hi");
    busy.read_exactly(10);

    // Nobody waits for the whole of `shutdown_grace`.
    let ending = thread::spawn(move || portcullis.shutdown());
    let close = b"\x88\x1b\x03\xe9the service is going away";
    assert_eq!(quiet.read_to_end(), close);
    let said = busy.read_to_end();
    let (frames, last) = said.split_at(said.len() - close.len());
    assert_eq!((frames.len() % 10, last), (0, &close[..]), "between two frames");
    assert_eq!(ending.join().expect("it ends"), Drained::Completely);
    for target in ["/ws/quiet", "/ws/ticks"] {
        let heard = streams.wait_for_end(target).body;
        let (head, payload) = heard.split_at(6);
        assert_eq!(head[..2], *b"\x88\x9b");
        let payload: Vec<u8> = payload.iter().zip(head[2..].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(payload, close[2..]);
    }
}
