//! Ending: what has begun is finished, and nothing new begins.

use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::thread;

use portcullis::app::Drained;

use crate::harness::http::Wire;
use crate::harness::portcullis::Portcullis;
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
