//! Connections that have had an answer and stay: what each of them holds.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::good;
use crate::h2raw::{self, H2, Outcome};
use crate::mib;
use crate::process::Process;
use crate::tls;

const COUNT: u64 = 10_000;

/// One table for all kinds.
pub(crate) fn run() {
    println!("\n| {COUNT} idle connections | MiB before | with them | KiB each | after |\n|---|---|---|---|---|");
    measure("HTTP/1.1", |process| http1(TcpStream::connect(process.clear).expect("a connection")));
    measure("HTTP/2", |process| http2(TcpStream::connect(process.clear).expect("a connection")));
    for (name, protocol) in [("HTTP/1.1 over TLS", &b"http/1.1"[..]), ("HTTP/2 over TLS", b"h2")] {
        let mut config = None;
        measure(name, move |process| {
            let config = config.get_or_insert_with(|| tls::client(process, protocol));
            let stream = tls::connect(process, config).expect("a handshake");
            // Only the socket is kept: a session of our own for each would weigh on the machine.
            let kept = stream.sock.try_clone().expect("a handle");
            if protocol == b"h2" {
                http2(stream);
            } else {
                http1(stream);
            }
            kept
        });
    }
}

fn measure<T>(name: &str, mut open: impl FnMut(&Process) -> T) {
    let process = Process::start();
    // What is allocated once is not for the first of them.
    for _ in 0..50 {
        drop(open(&process));
    }
    good::ask_for(&process, std::time::Duration::from_secs(1));
    let before = process.resident_kib();
    let held: Vec<T> = (0..COUNT).map(|_| open(&process)).collect();
    good::ask_for(&process, std::time::Duration::from_secs(1));
    let with = process.resident_kib();
    drop(held);
    good::ask_for(&process, std::time::Duration::from_secs(4));
    println!(
        "| {name} | {:.1} | {:.1} | {:.1} | {:.1} |",
        mib(before),
        mib(with),
        with.saturating_sub(before) as f64 / COUNT as f64,
        mib(process.resident_kib())
    );
}

fn http1<S: Read + Write>(mut stream: S) -> S {
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: a.example\r\n\r\n").expect("it takes requests");
    let mut answer = Vec::new();
    let mut bytes = [0; 1024];
    while !answer.ends_with(b"hello") {
        let count = stream.read(&mut bytes).expect("an answer");
        assert!(count > 0, "it closed");
        answer.extend_from_slice(&bytes[..count]);
    }
    stream
}

fn http2<S: Read + Write>(stream: S) -> H2<S> {
    let mut client = H2::over(stream);
    client.begin(&[]);
    client.ask(1, &h2raw::get("/small"));
    assert_eq!(client.outcome(1), Outcome::Answered(200, "hello".into()));
    client
}
