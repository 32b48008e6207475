//! Server-sent events and long polling: each arrives when it is sent, and whoever leaves is not served on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::harness::http::Wire;
use crate::harness::portcullis::{Portcullis, block_on};

const PATIENCE: Duration = Duration::from_secs(20);

/// A service with one client, which sends what it is given, when it is given it.
struct Service {
    address: SocketAddr,
    say: Sender<&'static str>,
    /// A message when a request is there, and one when its connection has ended.
    news: Receiver<()>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (say, said) = channel::<&'static str>();
        let (tell, news) = channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            read_head(&mut stream);
            tell.send(()).expect("a test");
            let mut writer = stream.try_clone().expect("a handle");
            std::thread::spawn(
                move || while said.recv().is_ok_and(|text| writer.write_all(text.as_bytes()).is_ok()) {},
            );
            while let Ok(1..) = stream.read(&mut [0; 64]) {}
            let _ = tell.send(());
        });
        Self { address, say, news }
    }

    fn say(&self, text: &'static str) {
        self.say.send(text).expect("it runs");
    }

    fn wait(&self) {
        self.news.recv_timeout(PATIENCE).expect("news");
    }

    fn behind(&self) -> Portcullis {
        let to = self.address;
        Portcullis::start(&format!("[route.all]\nmatch = \"/x\"\naccept = \"anyone\"\nupstream = \"http://{to}\""))
    }
}

fn read_head(stream: &mut TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const EVENT: &str = "b\r\ndata: one\n\n\r\n";

#[test]
fn each_event_arrives_when_it_is_sent() {
    for version in ["1.1", "1.0"] {
        let service = Service::start();
        let portcullis = service.behind();
        let mut wire = Wire::connect(portcullis.address());
        wire.write(format!("GET /x HTTP/{version}\r\nHost: a\r\n\r\n"));
        service.wait();
        service.say(HEAD);
        // The head does not wait for the first event, nor an event for the next.
        let head = wire.read_until("\r\n\r\n").to_ascii_lowercase();
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        for _ in 0..10 {
            service.say(EVENT);
            wire.read_until("data: one\n\n");
        }
        drop(wire);
        service.wait();
    }
}

#[test]
fn each_event_arrives_when_it_is_sent_over_http_2() {
    let service = Service::start();
    let portcullis = service.behind();
    block_on(async {
        let stream = tokio::net::TcpStream::connect(portcullis.address()).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection);
        let request = Request::get("http://a/x").body(Empty::<Bytes>::new()).expect("a request");
        let answer = tokio::spawn(sender.send_request(request));
        while service.news.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        service.say(HEAD);
        let mut body = answer.await.expect("no panic").expect("an answer").into_body();
        for _ in 0..10 {
            service.say(EVENT);
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("an event").expect("not the end");
            assert_eq!(frame.expect("sound").into_data().expect("data"), "data: one\n\n");
        }
        // The stream is left; the connection stays.
        drop(body);
        while service.news.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let request = Request::get("http://a/none").body(Empty::<Bytes>::new()).expect("a request");
        assert_eq!(sender.send_request(request).await.expect("an answer").status(), 404);
    });
}

#[test]
fn a_poll_is_answered_when_there_is_something_and_given_up_with_its_client() {
    let service = Service::start();
    let portcullis = service.behind();
    let mut wire = Wire::connect(portcullis.address());
    wire.write("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    service.wait();
    service.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews");
    assert_eq!(wire.read_answer().expect("an answer").body, "news");

    let service = Service::start();
    let portcullis = service.behind();
    let mut wire = Wire::connect(portcullis.address());
    wire.write("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    service.wait();
    drop(wire);
    service.wait();
}
