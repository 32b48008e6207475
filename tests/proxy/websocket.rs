//! WebSockets: the handshake is a request like any other, and then bytes pass both ways.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::harness::http::{Answer, Wire};
use crate::harness::portcullis::{Portcullis, Setup, bearer, cookie};

/// Answers handshakes, and where it agrees then sends back what it gets; keeps the heads it saw.
pub(super) struct Echo {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    /// `answer` makes one of a request's head.
    pub(super) fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let (mut head, mut byte) = (Vec::new(), [0]);
                    while !head.ends_with(b"\r\n\r\n") {
                        if stream.read_exact(&mut byte).is_err() {
                            return;
                        }
                        head.push(byte[0]);
                    }
                    let head = String::from_utf8(head).expect("text");
                    let answer = answer(&head);
                    seen.lock().expect("no panic").push(head);
                    if stream.write_all(answer.as_bytes()).is_err() || !answer.starts_with("HTTP/1.1 101") {
                        return;
                    }
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        if stream.write_all(&buffer[..count]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, heads }
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSet-Cookie: __Host-session=x\r\n\r\n";

struct World {
    echo: Echo,
    portcullis: Portcullis,
    session: String,
}

fn world(answer: &'static str) -> World {
    let echo = Echo::start(move |_| answer.to_owned());
    let setup = Setup::new();
    let session = setup.session(|_| {});
    let portcullis = setup.start(&format!(
        r#"
        [route.ws]
        match = "/ws"
        accept = ["jwt", "session"]
        websocket_bearer = true
        upstream = "http://{}"
        "#,
        echo.address
    ));
    World { echo, portcullis, session }
}

impl World {
    fn handshake(&self, headers: &str, early: &[u8]) -> (Wire, Answer) {
        let to = self.portcullis.address();
        let mut wire = Wire::connect(to);
        let mut bytes = format!(
            "GET /ws HTTP/1.1\r\nHost: {to}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(early);
        let answer = wire.exchange(bytes);
        (wire, answer)
    }

    fn token(&self) -> String {
        self.portcullis.token(json!({}))
    }
}

#[test]
fn f59_bytes_pass_both_ways_once_the_upstream_has_agreed() {
    let world = world(SWITCHED);
    // The first frame comes with the handshake, as impatient clients send it.
    let (mut wire, answer) = world.handshake(&bearer(&world.token()), b"\x81\x05early");
    assert_eq!(answer.status, 101, "{}", answer.head);
    assert_eq!(answer.value("upgrade"), Some("websocket"));
    assert_eq!(answer.value("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.values("set-cookie"), Vec::<&str>::new());
    assert_eq!(wire.read_exactly(7), b"\x81\x05early");
    for round in 0..50_usize {
        let frame = vec![round.to_le_bytes()[0]; 1 + round * 401];
        wire.write(&frame);
        assert_eq!(wire.read_exactly(frame.len()), frame);
    }
    // What looks like a request is none by now.
    let request = b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n";
    wire.write(request);
    assert_eq!(wire.read_exactly(request.len()), request);
    let [head] = &world.echo.heads()[..] else { panic!("one request") };
    let head = head.to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    assert!(head.contains("x-auth-subject: alice\r\n") && !head.contains("authorization"), "{head}");
}

#[test]
fn f59_a_refused_handshake_is_followed_by_nothing() {
    let world = world("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    let smuggled = b"GET /ws?smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut wire, answer) = world.handshake(&bearer(&world.token()), smuggled);
    assert_eq!((answer.status, &*answer.body), (403, "no"));
    // The bytes behind it are a request of its own, to be decided on: without a credential.
    assert_eq!(wire.read_answer().map(|answer| answer.status), Some(401));
    assert!(world.echo.heads().iter().all(|head| !head.contains("smuggled")));
}

#[test]
fn a_session_opens_a_websocket_only_from_our_own_pages() {
    let world = world(SWITCHED);
    let own = format!("http://{}", world.portcullis.address());
    let session = cookie(&world.session);
    for (headers, expected) in [
        (session.clone(), 403),
        (format!("{session}Origin: https://evil.example\r\n"), 403),
        (format!("{session}Origin: null\r\n"), 403),
        (format!("{session}Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n"), 403),
        (format!("{session}Sec-Fetch-Site: same-site\r\n"), 403),
        (format!("{session}Origin: {own}\r\n"), 101),
        (format!("{session}Sec-Fetch-Site: same-origin\r\nOrigin: {own}\r\n"), 101),
        // A token is sent by whoever has it, from wherever.
        (format!("{}Origin: https://evil.example\r\n", bearer(&world.token())), 101),
    ] {
        let before = world.echo.heads().len();
        let (mut wire, answer) = world.handshake(&headers, b"");
        assert_eq!(answer.status, expected, "{headers}");
        assert_eq!(world.echo.heads().len() - before, usize::from(expected == 101), "{headers}");
        if expected == 101 {
            wire.write("ping");
            assert_eq!(wire.read_exactly(4), b"ping");
        }
    }
}

#[test]
fn a_browsers_token_travels_as_a_subprotocol_and_stops_here() {
    let world = world(SWITCHED);
    let token = world.token();
    let (_wire, answer) = world.handshake(&format!("Sec-WebSocket-Protocol: chat, portcullis.bearer.{token}\r\n"), b"");
    assert_eq!(answer.status, 101, "{}", answer.head);
    let head = world.echo.heads().pop().expect("a request");
    assert!(head.to_ascii_lowercase().contains("sec-websocket-protocol: chat\r\n"), "{head}");
    assert!(!head.contains(&token), "{head}");
    let (_wire, answer) = world.handshake("Sec-WebSocket-Protocol: chat, portcullis.bearer.a.b.c\r\n", b"");
    assert_eq!(answer.status, 401);
}

#[test]
fn f59_no_other_protocol_is_switched_to() {
    let world = world("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    let (_wire, answer) = world.handshake(&bearer(&world.token()), b"");
    assert_eq!(answer.status, 502, "{}", answer.head);
    let mut wire = Wire::connect(world.portcullis.address());
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\n{}\r\n",
        bearer(&world.token())
    );
    assert_eq!(wire.exchange(request).status, 502);
    let head = world.echo.heads().pop().expect("a request").to_ascii_lowercase();
    assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{head}");
}
