//! Limits of requests' bodies, and of the time that a route gives its upstream.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::harness::http::{self, Wire};
use crate::harness::portcullis::Portcullis;
use crate::harness::upstream::Upstream;

/// Only so that a broken test ends.
const PATIENCE: Duration = Duration::from_secs(30);

fn start(upstream: &str) -> Portcullis {
    Portcullis::start(&format!(
        r#"
        [defaults]
        upstream = "{upstream}"
        max_body = "1KiB"
        [route]
        small = {{ match = "/small", accept = "anyone" }}
        free = {{ match = "/free", accept = "anyone", max_body = "unlimited" }}
        none = {{ match = "/none", accept = "anyone", max_body = "0B" }}
        "#
    ))
}

fn chunked(target: &str, chunks: usize) -> String {
    let chunk = format!("100\r\n{}\r\n", "x".repeat(256)).repeat(chunks);
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")
}

fn sized(target: &str, length: usize) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length))
}

#[test]
fn f61_a_body_that_says_it_is_too_large_reaches_nobody() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream.url());
    let to = portcullis.address();
    for (target, length, status) in
        [("/small", 1024, 200), ("/small", 1025, 413), ("/none", 0, 200), ("/none", 1, 413), ("/free", 1 << 20, 200)]
    {
        let answer = http::send(to, sized(target, length));
        assert_eq!(answer.status, status, "{target} {length}");
        if status == 413 {
            assert_eq!(answer.json()["type"], "urn:portcullis:body_too_large");
        }
    }
    assert_eq!(upstream.received().len(), 3);
    // Nothing of it is waited for, and what follows on the connection is no request.
    let mut wire = Wire::connect(to);
    let head = "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(wire.exchange(format!("{head}GET /free HTTP/1.1\r\nHost: a\r\n\r\n")).status, 413);
    assert!(wire.is_closed());
    assert_eq!(upstream.received().len(), 3);
}

#[test]
fn f61_a_refused_body_is_not_asked_for() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream.url());
    let mut wire = Wire::connect(portcullis.address());
    let head = "POST /small HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1025\r\n\r\n";
    assert_eq!(wire.exchange(head).status, 413);
    let mut wire = Wire::connect(portcullis.address());
    let head = head.replace("1025", "4");
    assert_eq!(wire.exchange(head).status, 100);
    assert_eq!(wire.exchange("body").status, 200);
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn f61_a_body_without_a_length_is_counted_as_it_passes() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream.url());
    let to = portcullis.address();
    assert_eq!(http::send(to, chunked("/small", 4)).status, 200);
    assert_eq!(upstream.last().body.len(), 1024);
    let answer = http::send(to, chunked("/small", 5));
    assert_eq!((answer.status, &answer.json()["type"]), (413, &"urn:portcullis:body_too_large".into()));
    assert_eq!(http::send(to, chunked("/free", 100)).status, 200);
    assert_eq!(http::send(to, chunked("/none", 1)).status, 413);
    assert_eq!(http::send(to, chunked("/none", 0)).status, 200);
    assert_eq!(upstream.received().len(), 3, "none that was cut short counts as a request");
}

/// An upstream that does what a test says with its one connection, once the head of a request has arrived.
fn upstream<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        serve(stream)
    });
    (address, thread)
}

#[test]
fn f61_once_the_answer_has_begun_a_body_that_grows_too_large_breaks_both_off() {
    let (address, thread) = upstream(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").expect("half an answer");
        let mut body = Vec::new();
        // Until the connection is closed, which is never used again.
        let _ = stream.read_to_end(&mut body);
        body
    });
    let portcullis = start(&format!("http://{address}"));
    let mut client = TcpStream::connect(portcullis.address()).expect("a connection");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(b"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").expect("a head");
    let mut begun = [0; 15];
    client.read_exact(&mut begun).expect("the answer begins");
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    // It may be broken off before all of this is taken.
    let _ = client.write_all(format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025)).as_bytes());
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1"), "no second answer");
    let body = thread.join().expect("the upstream saw the end");
    assert!(!body.ends_with(b"0\r\n\r\n"), "no end of the body is made up");
}

#[test]
fn a_route_gives_its_upstream_less_time() {
    let (done, wait) = mpsc::channel::<()>();
    let (address, thread) = upstream(move |_stream| wait.recv());
    let portcullis = Portcullis::start(&format!(
        "[route.slow]\nmatch = \"/x\"\naccept = \"anyone\"\nupstream = \"http://{address}\"\ntimeout = \"200ms\""
    ));
    let answer = http::get(portcullis.address(), "/x", "");
    assert_eq!((answer.status, &answer.json()["type"]), (504, &"urn:portcullis:upstream_timeout".into()));
    drop(done);
    let _ = thread.join();
}

#[test]
fn an_answer_that_stalls_is_broken_off_where_a_route_says_so() {
    let (go, wait) = mpsc::channel::<()>();
    let (address, thread) = upstream(move |mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").expect("half an answer");
        let _ = wait.recv();
    });
    let portcullis = Portcullis::start(&format!(
        "[route.x]\nmatch = \"/x\"\naccept = \"anyone\"\nupstream = \"http://{address}\"\nstream_idle = \"200ms\""
    ));
    let mut wire = Wire::connect(portcullis.address());
    wire.write("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(wire.read_until("hello").starts_with("HTTP/1.1 200"));
    assert_eq!(wire.read_to_end(), b"", "nothing more comes, though the upstream has not closed");
    drop(go);
    thread.join().expect("the upstream waited");
}
