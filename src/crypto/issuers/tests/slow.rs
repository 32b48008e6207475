//! Key servers that keep their clients waiting, by every means: a fetch ends in time, and takes its connection along.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::crypto::testing::*;
use crate::model::settings::{Algorithm, JwksSettings, KeySource};

/// Sends `first` and then `again` until the client has gone, which it tells.
fn trickling(first: &'static [u8], again: &'static [u8]) -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let (gone, is_gone) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = stream.read(&mut [0; 4096]).unwrap();
        assert!(request > 0);
        let mut wrote = stream.write_all(first);
        while wrote.is_ok() {
            thread::sleep(Duration::from_millis(1));
            wrote = if again.is_empty() {
                // Nothing more to say: waits for the end.
                match stream.read(&mut [0; 16]) {
                    Ok(0) | Err(_) => break,
                    Ok(_) => Ok(()),
                }
            } else {
                stream.write_all(again)
            };
        }
        gone.send(()).ok();
    });
    (url, is_gone)
}

#[tokio::test]
async fn whatever_a_server_trickles_it_is_given_up_and_hung_up_on() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{\"keys\":[";
    let cases: [(&[u8], &[u8]); 6] = [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (HEAD, b" "),
        (HEAD, b""),
    ];
    for (first, again) in cases {
        let (url, is_gone) = trickling(first, again);
        let jwks = JwksSettings { timeout: Duration::from_millis(50), ..JwksSettings::default() };
        let issuers = open(settings(KeySource::JwksUrl { url, jwks }, &[Algorithm::ES256])).unwrap();
        let problems = issuers.refresh().await;
        assert_eq!(problems.len(), 1, "{:?}", String::from_utf8_lossy(first));
        // Hung up on, and not only forgotten: otherwise this waits for ever and the deadline says so.
        let gone = tokio::task::spawn_blocking(move || is_gone.recv_timeout(Duration::from_secs(30)));
        gone.await.unwrap().unwrap_or_else(|_| panic!("still open: {:?}", String::from_utf8_lossy(first)));
    }
}

#[tokio::test]
async fn ten_megabytes_are_not_read_to_the_end() {
    let server = KeyServer::start(Answer::Json(format!("{{\"keys\":[{}", " ".repeat(10 << 20)))).await;
    let problems = open(settings(server.source(), &[Algorithm::ES256])).unwrap().refresh().await;
    assert!(problems[0].problem.contains("larger than 256 KiB"), "{}", problems[0]);
}

#[tokio::test]
async fn what_breaks_off_is_not_taken_for_the_whole() {
    let whole = jwks(&[P256.jwk("k1"), P384.jwk("k2")]);
    for end in 0..whole.len() {
        let cut = whole[..end].to_owned();
        assert!(crate::crypto::KeySet::from_jwks(cut.as_bytes(), &Algorithm::ALL, false).is_err(), "{cut}");
    }
    const CUT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"keys\":[]}";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(CUT).unwrap();
    });
    let source = KeySource::JwksUrl { url, jwks: JwksSettings::default() };
    let problems = open(settings(source, &[Algorithm::ES256])).unwrap().refresh().await;
    assert!(problems[0].problem.contains("broke off"), "{}", problems[0]);
}
