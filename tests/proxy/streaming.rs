//! Bodies stream: neither side's pace, nor any size, makes Portcullis collect one.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::harness::portcullis::Portcullis;

/// More than the socket buffers of two connections hold together.
const LARGE: usize = 48 * 1024 * 1024;

/// Only so that a broken test ends, and so that a sender learns that it is blocked.
const PATIENCE: Duration = Duration::from_secs(30);
const BLOCKED: Duration = Duration::from_millis(300);

fn start(upstream: SocketAddr) -> Portcullis {
    Portcullis::start(&format!(
        "[route.all]\nmatch = \"/x\"\naccept = \"anyone\"\nmax_body = \"unlimited\"\nupstream = \"http://{upstream}\""
    ))
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
        read_head(&mut stream);
        serve(stream)
    });
    (address, thread)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

/// Bytes that tell where in the body they are.
static BODY: LazyLock<Vec<u8>> = LazyLock::new(|| (0..LARGE as u64 / 8).flat_map(u64::to_le_bytes).collect());

fn part(from: usize, length: usize) -> &'static [u8] {
    &BODY[from..from + length]
}

/// Sends from `at` until all is sent or the other side takes no more for a while; where it has got to.
fn send_until_blocked(stream: &mut TcpStream, mut at: usize) -> usize {
    stream.set_write_timeout(Some(BLOCKED)).expect("a timeout");
    while at < LARGE {
        match stream.write(part(at, (LARGE - at).min(64 * 1024))) {
            Ok(count) => at += count,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(e) => panic!("sending failed after {at} bytes: {e}"),
        }
    }
    at
}

fn send_rest(stream: &mut TcpStream, mut at: usize) {
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    while at < LARGE {
        at += stream.write(part(at, (LARGE - at).min(64 * 1024))).expect("the rest can be sent");
    }
}

fn receive_all(stream: &mut TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    let mut at = 0;
    while at < LARGE {
        let wanted = buffer.len().min(LARGE - at);
        let count = stream.read(&mut buffer[..wanted]).expect("the body goes on");
        assert_ne!(count, 0, "the body ended after {at} bytes");
        assert!(buffer[..count] == *part(at, count), "other bytes somewhere after {at}");
        at += count;
    }
}

#[test]
fn an_upstream_that_does_not_read_stops_the_client() {
    let (go, wait) = mpsc::channel();
    let (address, thread) = upstream(move |mut stream| {
        wait.recv().expect("the test goes on");
        receive_all(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("an answer");
    });
    let portcullis = start(address);
    let mut client = connect(portcullis.address());
    write!(client, "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n").expect("a head");
    let sent = send_until_blocked(&mut client, 0);
    assert!(sent < LARGE, "all {LARGE} bytes went into a proxy whose upstream reads nothing");
    go.send(()).expect("the upstream waits");
    send_rest(&mut client, sent);
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200"));
    thread.join().expect("the upstream saw every byte in order");
}

#[test]
fn a_client_that_does_not_read_stops_the_upstream() {
    let (blocked, was_blocked) = mpsc::channel();
    let (address, thread) = upstream(move |mut stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").expect("a head");
        let sent = send_until_blocked(&mut stream, 0);
        blocked.send(sent).expect("the test goes on");
        send_rest(&mut stream, sent);
    });
    let portcullis = start(address);
    let mut client = connect(portcullis.address());
    client.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").expect("a request");
    assert!(
        was_blocked.recv().expect("the upstream sends") < LARGE,
        "all went into a proxy whose client reads nothing"
    );
    let head = read_head(&mut client).to_ascii_lowercase();
    assert!(head.contains(&format!("content-length: {LARGE}")), "{head}");
    receive_all(&mut client);
    thread.join().expect("the upstream sent every byte");
}

#[test]
fn each_part_passes_as_soon_as_it_is_there_in_both_directions() {
    // Each side waits for the other's last word before it says the next: who collected anything would wait for ever.
    let (address, thread) = upstream(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("a head");
        for _ in 0..10 {
            let mut chunk = [0; 6];
            stream.read_exact(&mut chunk).expect("a chunk");
            assert_eq!(&chunk[..3], b"1\r\n");
            stream.write_all(&chunk).expect("a chunk");
        }
        let mut end = [0; 5];
        stream.read_exact(&mut end).expect("the end");
        assert_eq!(&end, b"0\r\n\r\n");
        stream.write_all(&end).expect("the end");
    });
    let portcullis = start(address);
    let mut client = connect(portcullis.address());
    client.write_all(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").expect("a head");
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200"));
    for letter in b'a'..b'a' + 10 {
        let chunk = [b'1', b'\r', b'\n', letter, b'\r', b'\n'];
        client.write_all(&chunk).expect("a chunk");
        let mut back = [0; 6];
        client.read_exact(&mut back).expect("its echo");
        assert_eq!(back, chunk);
    }
    client.write_all(b"0\r\n\r\n").expect("the end");
    let mut end = [0; 5];
    client.read_exact(&mut end).expect("the end");
    assert_eq!(&end, b"0\r\n\r\n");
    thread.join().expect("the upstream had its say");
}

#[test]
fn an_upstream_that_breaks_off_is_not_taken_for_one_that_has_finished() {
    for head in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let body = if head.starts_with('C') { "hello" } else { "5\r\nhello\r\n" };
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
        let (address, thread) =
            upstream(move |mut stream| stream.write_all(answer.as_bytes()).expect("half an answer"));
        let portcullis = start(address);
        let mut client = connect(portcullis.address());
        client.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").expect("a request");
        let mut all = Vec::new();
        // Reset or closed, as long as no end of the body is made up.
        let _ = client.read_to_end(&mut all);
        let all = String::from_utf8(all).expect("text");
        assert!(!all.contains("\r\n0\r\n"), "{head}: {all}");
        assert!(!all.to_ascii_lowercase().contains("content-length: 5"), "{head}: {all}");
        thread.join().expect("the upstream broke off");
    }
}
