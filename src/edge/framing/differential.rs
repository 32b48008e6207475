//! What the guard passes, hyper takes. A head that only hyper refuses gets hyper's own bare answer, without a reason, a
//! decision id or a line in the log.

use std::cell::Cell;
use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::{Framing, FramingLimits, Next};

const LIMITS: FramingLimits = FramingLimits { max_head_bytes: 256 * 1024, max_fields: 100 };

fn guard_passes(head: &[u8]) -> bool {
    let fed = Framing::new(LIMITS).feed(head);
    fed.pass == head.len() && !matches!(fed.next, Next::Refuse(_) | Next::Broken)
}

async fn hyper_takes(head: &[u8]) -> bool {
    let (mut client, server) = tokio::io::duplex(1024 * 1024);
    client.write_all(head).await.unwrap();
    client.shutdown().await.unwrap();
    let taken = Cell::new(false);
    let service = service_fn(|_: Request<Incoming>| {
        taken.set(true);
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.max_header_size(LIMITS.max_head_bytes + 1024).max_buf_size(LIMITS.max_head_bytes + 1024);
    // How the connection ends is not what is asked.
    let _ = builder.serve_connection(TokioIo::new(server), service).await;
    taken.get()
}

/// Heads that differ by what generators like to get wrong; the same ones each time.
struct Heads(u64);

impl Heads {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % count
    }

    fn bytes(&mut self, alphabet: &[u8], most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    fn next(&mut self) -> Vec<u8> {
        let all: Vec<u8> = (0x21..=0xff).collect();
        let token = b"AZaz09!#$%&'*+-.^_`|~";
        let host: Vec<u8> = match self.below(3) {
            0 => b"a.example".to_vec(),
            _ => self.bytes(b"a1.-_:[]:", 8),
        };
        let target = match self.below(4) {
            0 => [b"/", &*self.bytes(&all, 12)].concat(),
            1 => [b"/", &*self.bytes(b"ab/?&=%.;:@{}|\"^`'~", 16)].concat(),
            2 => [b"http://", &*host, &*self.bytes(b"/?a:[]", 3)].concat(),
            _ => [b"HTTPS://", &*host, b"/", &*self.bytes(b"ab/?%", 5)].concat(),
        };
        let method = match self.below(3) {
            0 => [b"G", &*self.bytes(token, 20)].concat(),
            1 => b"POST".to_vec(),
            _ => b"GET".to_vec(),
        };
        let version: &[u8] = if self.below(5) == 0 { b"HTTP/1.0" } else { b"HTTP/1.1" };
        let mut head = [&*method, b" ", &*target, b" ", version, b"\r\nHost: ", &*host, b"\r\n"].concat();
        for _ in 0..self.below(4) {
            let name = self.bytes(token, 10);
            let name: &[u8] = [&b"Connection"[..], b"Upgrade", b"Expect", b"TE", &name][self.below(5)];
            let value = match self.below(3) {
                0 => self.bytes(b" \tkeep-alive,close;upgrade,100-continue\"", 20),
                _ => self.bytes(&all, 10),
            };
            head.extend([name, b":", &*value, b"\r\n"].concat());
        }
        if self.below(6) == 0 {
            head.extend([&b"Content-Length: "[..], &*self.bytes(b"0", 18), b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        head
    }
}

#[tokio::test]
async fn f58_hyper_refuses_nothing_that_the_guard_passes() {
    let mut wrong = Vec::new();
    let mut passed = 0;
    let mut check = async |head: &[u8]| {
        if guard_passes(head) {
            passed += 1;
            if !hyper_takes(head).await {
                wrong.push(String::from_utf8_lossy(head).into_owned());
            }
        }
    };
    // Every byte at every kind of place.
    for byte in 0..=255_u8 {
        for (before, after) in [
            ("G", " / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET /a", "b HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET /a?b", "c HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET http://a/", " HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET http://a?", " HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a", "b\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX", "Y: z\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: y", "z\r\n\r\n"),
        ] {
            check(&[before.as_bytes(), &[byte], after.as_bytes()].concat()).await;
        }
        for host in
            [format!("{}", char::from(byte)), format!("a{}", char::from(byte)), format!("a{}1", char::from(byte))]
        {
            let head = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
            check(head.as_bytes()).await;
        }
    }
    for length in [1000, 65_533, 65_534, 65_535, 65_536, 100_000] {
        let long = "a".repeat(length);
        for (method, target, name, value) in [
            ("GET", format!("/{long}"), "x", "y"),
            ("GET", format!("http://a/{long}"), "x", "y"),
            ("GET", format!("/?{long}"), "x", "y"),
            ("GET", "/".to_owned(), long.as_str(), "y"),
            ("GET", "/".to_owned(), "x", long.as_str()),
            (long.as_str(), "/".to_owned(), "x", "y"),
        ] {
            check(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n").as_bytes()).await;
        }
    }
    let many = "x: y\r\n".repeat(99);
    check(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes()).await;
    let mut heads = Heads(1);
    for _ in 0..10_000 {
        check(&heads.next()).await;
    }
    wrong.iter_mut().for_each(|head| head.truncate(200));
    assert!(wrong.is_empty(), "{} of {passed}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed > 3000, "{passed}");
}
