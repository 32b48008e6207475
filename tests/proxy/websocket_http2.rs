//! WebSockets over HTTP/2 (RFC 8441): to the gate and to the upstream they are what they are over HTTP/1.1.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::model::{Clock as _, LogEntry, Revocation, SystemClock};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::websocket::Echo;
use crate::harness::http::Wire;
use crate::harness::portcullis::{ISSUER, Portcullis, Setup, block_on};
use crate::harness::redis::Redis;
use crate::harness::streams::{Streams, switched};

/// One HTTP/2 connection whose client knows the server's settings.
struct Two(SendRequest<Empty<Bytes>>);

impl Two {
    async fn connect(to: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(to).await.expect("a connection");
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(32 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        let mut two = Self(sender);
        // By the answer to anything the settings have arrived.
        two.send(Request::get("http://a/settled")).await;
        two
    }

    async fn send(&mut self, request: http::request::Builder) -> Response<Incoming> {
        self.0.ready().await.expect("a stream");
        let answer = self.0.send_request(request.body(Empty::new()).expect("a request"));
        within(answer).await.expect("an answer")
    }

    async fn open(&mut self, url: &str, lines: &[(&str, &str)]) -> Response<Incoming> {
        let mut request = Request::connect(url).extension(Protocol::from_static("websocket"));
        for (name, value) in [("sec-websocket-version", "13")].iter().chain(lines) {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    async fn websocket(&mut self, url: &str, lines: &[(&str, &str)]) -> TokioIo<Upgraded> {
        let answer = self.open(url, lines).await;
        assert_eq!(answer.status(), 200, "{:?}", answer.headers());
        TokioIo::new(within(hyper::upgrade::on(answer)).await.expect("a tunnel"))
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("something happens")
}

async fn expect(io: &mut TokioIo<Upgraded>, expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    within(io.read_exact(&mut read)).await.expect("more");
    assert_eq!(read, expected);
}

async fn text(answer: Response<Incoming>) -> String {
    let body = within(answer.into_body().collect()).await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

fn start(setup: Setup, echo: &Echo) -> Portcullis {
    setup.start(&format!(
        r#"
        [defaults]
        accept = ["jwt", "session"]
        upstream = "http://{}"
        [route]
        ws = {{ match = "GET /ws", websocket_bearer = true }}
        posted = {{ match = "POST /posted" }}
        public = {{ match = "/public", accept = "anyone" }}
        "#,
        echo.address
    ))
}

#[test]
fn f59_bytes_pass_both_ways_once_the_upstream_has_agreed() {
    let echo = Echo::start(switched);
    let portcullis = start(Setup::new(), &echo);
    let token = format!("Bearer {}", portcullis.token(json!({})));
    block_on(async {
        let mut two = Two::connect(portcullis.address()).await;
        let lines = [("authorization", token.as_str()), ("sec-websocket-protocol", "chat"), ("cookie", "a=b")];
        let answer = two.open("http://shop.example/ws?x=1", &lines).await;
        assert_eq!(answer.status(), 200);
        for absent in ["sec-websocket-accept", "upgrade", "connection", "content-length", "transfer-encoding"] {
            assert!(!answer.headers().contains_key(absent), "{absent}");
        }
        let mut tunnel = TokioIo::new(within(hyper::upgrade::on(answer)).await.expect("a tunnel"));
        for round in 0..50_usize {
            let frame = vec![round.to_le_bytes()[0]; 1 + round * 1501];
            tunnel.write_all(&frame).await.expect("written");
            expect(&mut tunnel, &frame).await;
        }
        // Requests go on beside it.
        assert_eq!(two.send(Request::get("http://a/nowhere")).await.status(), 404);
        tunnel.shutdown().await.expect("closed");
        assert_eq!(within(tunnel.read(&mut [0; 8])).await.expect("the end"), 0);
    });
    let [head] = &echo.heads()[..] else { panic!("one request") };
    assert!(head.starts_with("GET /ws?x=1 HTTP/1.1\r\n"), "{head}");
    for line in [
        "host: shop.example",
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: chat",
        "x-auth-subject: alice",
        "cookie: a=b",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    assert_eq!(head.matches("sec-websocket-key: ").count(), 1, "{head}");
    assert!(!head.contains("authorization"), "{head}");
}

#[test]
fn f59_what_is_no_agreement_opens_nothing() {
    let echo = Echo::start(|head| {
        let wrong = "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ";
        let full = |status| format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        match head.split(' ').nth(1).and_then(|target| target.split_once('?')).expect("a query").1 {
            "refused" => full("403 Forbidden"),
            "ignored" => full("200 OK"),
            "made" => full("201 Created"),
            "unproved" => "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(),
            "other" => format!("{wrong}s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
            _ => switched(head).replace("websocket\r\n", "h2c\r\n"),
        }
    });
    let portcullis = start(Setup::new(), &echo);
    block_on(async {
        let mut two = Two::connect(portcullis.address()).await;
        let answer = two.open("http://a/public?refused", &[]).await;
        assert_eq!((answer.status(), &*text(answer).await), (StatusCode::FORBIDDEN, "no"));
        for how in ["ignored", "made", "unproved", "other", "h2c"] {
            let answer = two.open(&format!("http://a/public?{how}"), &[]).await;
            assert_eq!(answer.status(), 502, "{how}");
            assert!(text(answer).await.contains("upstream_failed"), "{how}");
        }
    });
    assert_eq!(echo.heads().len(), 6);
}

#[test]
fn f60_no_other_tunnel_is_opened() {
    let echo = Echo::start(switched);
    let portcullis = start(Setup::new(), &echo);
    block_on(async {
        let mut two = Two::connect(portcullis.address()).await;
        for protocol in ["connect-udp", "WebSocket", "webtransport", "websocket, h2c"] {
            let request = Request::connect("http://a/public").extension(Protocol::from_static(protocol));
            // An answer for gRPC would be a 200, and that a tunnel.
            let answer = two.send(request.header("content-type", "application/grpc")).await;
            assert_eq!(answer.status(), 405, "{protocol}");
            assert!(text(answer).await.contains("method_refused"));
        }
        let answer = two.send(Request::connect("a:443")).await;
        assert_eq!(answer.status(), 405);
        let answer = two.open("http://a/ws", &[("content-type", "application/grpc")]).await;
        assert_eq!(answer.status(), 401, "a denial is none either");
        let answer = two.open("http://a/posted", &[]).await;
        assert_eq!(answer.status(), 404, "it is found as GET");
        let keys = two.open("http://a/.well-known/portcullis/jwks.json", &[]).await;
        assert!(keys.status().is_client_error(), "{}", keys.status());
    });
    assert_eq!(echo.heads(), Vec::<String>::new());
}

#[test]
fn a_session_opens_a_websocket_only_from_our_own_pages() {
    let (echo, setup) = (Echo::start(switched), Setup::new());
    let cookie = format!("__Host-session={}", setup.session(|_| {}));
    let portcullis = start(setup, &echo);
    let to = portcullis.address();
    let (own, url) = (format!("http://{to}"), format!("http://{to}/ws"));
    block_on(async {
        let mut two = Two::connect(to).await;
        for (lines, expected) in [
            (&[][..], 403),
            (&[("origin", "https://evil.example")], 403),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], 403),
            (&[("sec-fetch-site", "same-site")], 403),
            (&[("origin", own.as_str())], 200),
            (&[("sec-fetch-site", "same-origin")], 200),
        ] {
            let before = echo.heads().len();
            let lines: Vec<_> = lines.iter().copied().chain([("cookie", cookie.as_str())]).collect();
            assert_eq!(two.open(&url, &lines).await.status(), expected, "{lines:?}");
            assert_eq!(echo.heads().len() - before, usize::from(expected == 200), "{lines:?}");
        }
    });
}

#[test]
fn a_browsers_token_travels_as_a_subprotocol_and_stops_here() {
    let echo = Echo::start(switched);
    let portcullis = start(Setup::new(), &echo);
    let token = portcullis.token(json!({}));
    block_on(async {
        let mut two = Two::connect(portcullis.address()).await;
        let offer = format!("chat, portcullis.bearer.{token}");
        two.websocket("http://a/ws", &[("sec-websocket-protocol", &offer)]).await;
        let answer = two.open("http://a/ws", &[("sec-websocket-protocol", "chat, portcullis.bearer.a.b.c")]).await;
        assert_eq!(answer.status(), 401);
    });
    let head = echo.heads().pop().expect("a request");
    assert!(head.contains("\r\nsec-websocket-protocol: chat\r\n") && !head.contains(&token), "{head}");
}

#[test]
fn a_connection_with_a_websocket_is_not_idle() {
    let echo = Echo::start(switched);
    let portcullis = Setup::new().start_with(
        r#"listener.main.timeouts = { idle = "200ms", header = "200ms" }"#,
        &format!(
            "[route]\nall = {{ match = \"/{{*rest}}\", accept = \"anyone\", upstream = \"http://{}\" }}",
            echo.address
        ),
    );
    let to = portcullis.address();
    block_on(async {
        let stream = tokio::net::TcpStream::connect(to).await.expect("a connection");
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let mut two = Two(sender);
        two.send(Request::get("http://a/settled")).await;
        let mut tunnel = two.websocket("http://a/ws", &[]).await;
        // Connections that are idle come and go meanwhile.
        for _ in 0..4 {
            let idle = tokio::task::spawn_blocking(move || assert!(Wire::connect(to).is_closed()));
            idle.await.expect("closed");
        }
        tunnel.write_all(b"still here").await.expect("written");
        expect(&mut tunnel, b"still here").await;
        drop(tunnel);
        // Without it, it is.
        let _ = within(connection).await.expect("no panic");
    });
}

struct World {
    redis: Redis,
    streams: Streams,
    portcullis: Portcullis,
}

fn world() -> World {
    let (redis, streams) = (Redis::start(), Streams::start());
    let portcullis = Setup::new().try_start(&format!(
        r#"
        server = {{ workers = 1, drain_delay = "0s", shutdown_grace = "10s" }}
        listener.main.bind = "127.0.0.1:0"
        health.bind = "127.0.0.1:0"
        store = {{ url = "{}", timeout = "5s" }}
        revocation.max_staleness = "30s"
        issuer.main = {{ url = "{ISSUER}", audiences = ["orders"], leeway = "0s", keys.jwks_file = "jwks.json" }}
        [route.all]
        match = "/{{*rest}}"
        accept = "jwt"
        upstream = "{}"
        "#,
        redis.url(),
        streams.url(),
    ));
    World { redis, streams, portcullis: portcullis.unwrap_or_else(|problem| panic!("{problem}")) }
}

impl World {
    fn token(&self, jti: &str) -> String {
        format!("Bearer {}", self.portcullis.token(json!({"jti": jti})))
    }

    async fn revoke(&self, jti: &str) {
        let what = Revocation::Token { issuer: ISSUER.into(), id: jti.into() };
        let until = SystemClock.now().after(Duration::from_secs(7200));
        self.redis.store().log.append(&LogEntry { what, until }).await.expect("the log takes it");
    }
}

#[test]
fn whose_credential_ends_is_told_why_and_other_streams_go_on() {
    let world = world();
    block_on(async {
        let mut two = Two::connect(world.portcullis.address()).await;
        let (one, other) = (world.token("one"), world.token("other"));
        let mut told = two.websocket("http://a/ws/x1", &[("authorization", &one)]).await;
        let mut stuck = two.websocket("http://a/ws/stuck/x1", &[("authorization", &one)]).await;
        let mut goes_on = two.websocket("http://a/ws/ticks", &[("authorization", &other)]).await;
        expect(&mut told, b"\x81\x02hi").await;
        expect(&mut stuck, b"\x81\x02hi\x81\x7ehe").await;
        world.revoke("one").await;
        expect(&mut told, b"\x88\x21\x11\x31the credential has been revoked").await;
        assert_eq!(within(told.read(&mut [0; 8])).await.expect("its end"), 0);
        assert!(!matches!(within(stuck.read(&mut [0; 8])).await, Ok(1..)), "not in the midst of a frame");
        let so_far = world.streams.last_event();
        loop {
            let mut frame = [0; 10];
            within(goes_on.read_exact(&mut frame)).await.expect("it goes on");
            let number: u64 = std::str::from_utf8(&frame[2..]).expect("text").parse().expect("a number");
            if number > so_far {
                break;
            }
        }
        for target in ["/ws/x1", "/ws/stuck/x1"] {
            world.streams.wait_for_end(target);
        }
    });
}

#[test]
fn draining_tells_both_sides_that_the_service_goes_away() {
    let echo = Echo::start(switched);
    let portcullis = start(Setup::new(), &echo);
    let token = format!("Bearer {}", portcullis.token(json!({})));
    block_on(async {
        let mut two = Two::connect(portcullis.address()).await;
        let mut io = two.websocket("http://a/ws", &[("authorization", &token)]).await;
        io.write_all(b"\x81\x80mask").await.expect("it is open");
        expect(&mut io, b"\x81\x80mask").await;
        let ending = std::thread::spawn(move || portcullis.shutdown());
        expect(&mut io, b"\x88\x1b\x03\xe9the service is going away").await;
        assert_eq!(within(io.read(&mut [0; 8])).await.expect("its end"), 0);
        drop((io, two));
        assert_eq!(ending.join().expect("it ends"), portcullis::app::Drained::Completely);
    });
}

#[test]
fn a_token_and_its_websocket_expire_together() {
    let world = world();
    let soon = SystemClock.now().as_secs() + 3;
    let token = format!("Bearer {}", world.portcullis.token(json!({"exp": soon})));
    block_on(async {
        let mut two = Two::connect(world.portcullis.address()).await;
        let mut tunnel = two.websocket("http://a/ws/x1", &[("authorization", &token)]).await;
        expect(&mut tunnel, b"\x81\x02hi\x88\x1c\x11\x31the credential has expired").await;
        assert!(SystemClock.now().as_secs() >= soon, "it ended too soon");
    });
}

#[test]
fn a_client_that_does_not_read_has_its_stream_reset() {
    let world = world();
    block_on(async {
        let mut two = Two::connect(world.portcullis.address()).await;
        let (one, other) = (world.token("one"), world.token("other"));
        let mut stalled = two.websocket("http://a/ws/flood/x1", &[("authorization", &one)]).await;
        let mut beside = two.websocket("http://a/ws/x2", &[("authorization", &other)]).await;
        world.streams.wait_for_block("/ws/flood/x1");
        world.revoke("one").await;
        world.streams.wait_for_end("/ws/flood/x1");
        let mut taken = 0;
        let mut piece = vec![0; 4096];
        loop {
            match within(stalled.read(&mut piece)).await {
                Ok(0) | Err(_) => break,
                Ok(count) => taken += count,
            }
        }
        assert!(taken <= 32 * 1024, "{taken} bytes: more than was on its way");
        expect(&mut beside, b"\x81\x02hi").await;
    });
}

/// Somebody else's implementation of the same.
#[test]
fn node_opens_one() {
    let echo = Echo::start(switched);
    let portcullis = start(Setup::new(), &echo);
    let script = r#"
        const http2 = require("node:http2");
        const client = http2.connect(process.argv[1]);
        client.on("remoteSettings", (settings) => {
            if (!settings.enableConnectProtocol) throw new Error("not announced");
            const stream = client.request({
                ":method": "CONNECT", ":protocol": "websocket", ":path": "/public", ":scheme": "http",
                "sec-websocket-version": "13",
            });
            stream.on("response", (headers) => {
                console.log(headers[":status"]);
                stream.write("ping");
            });
            stream.on("data", (data) => {
                console.log(String(data));
                stream.end();
                client.close();
            });
        });
    "#;
    let node = Command::new("node").args(["-e", script, &format!("http://{}", portcullis.address())]).output();
    let node = node.expect("node");
    assert_eq!(String::from_utf8_lossy(&node.stdout), "200\nping\n", "{}", String::from_utf8_lossy(&node.stderr));
}
