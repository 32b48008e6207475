//! Bytes of every kind where policy looks: whatever cannot be read is refused, and nothing refused is a success.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::http::{get, send};
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::upstream::Upstream;

/// The same bytes in each run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.below(most + 1);
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// Bytes that are likelier to mean something.
    fn odd(&mut self, most: usize) -> Vec<u8> {
        const ODD: &[&[u8]] = &[
            b"/",
            b"//",
            b"..",
            b"%",
            b"%2f",
            b"%00",
            b"%c0%af",
            b";",
            b"\\",
            b"#",
            b"?",
            b":",
            b"@",
            b"[",
            b"]",
            b"\0",
            b"\t",
            b" ",
            b"\xff",
            b"\xc3",
            b"\xe2\x80\xae",
            b"admin",
            b"Bearer",
            b".",
            b",",
            b"=",
            b"\"",
            b"a",
            b"\x7f",
        ];
        let count = self.below(most + 1);
        (0..count).flat_map(|_| ODD[self.below(ODD.len())].iter().copied()).collect()
    }
}

/// Everything that comes back.
pub fn exchange(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    // The other side may refuse and close before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer.iter().map(|b| char::from(*b)).collect()
}

/// Status codes of all answers.
pub fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|rest| rest.get(..3).unwrap_or_default()).collect()
}

fn protected(upstream: &Upstream) -> Portcullis {
    Portcullis::start(&format!(
        "[route]\napp = {{ match = \"/{{*rest}}\", accept = [\"jwt\", \"api_key\", \"session\"], upstream = \"{}\" }}",
        upstream.url()
    ))
}

#[test]
fn f22_what_cannot_be_read_is_never_answered_with_success() {
    let upstream = Upstream::start();
    let portcullis = protected(&upstream);
    let to = portcullis.address();
    let valid = b"GET /orders/7?x=y HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer a.b.c\r\nCookie: a=b\r\n\r\n";
    let mut random = Random(22);
    let mut answered = 0;
    for round in 0..600 {
        let bytes = match round % 4 {
            0 => [random.bytes(200), b"\r\n\r\n".to_vec()].concat(),
            1 => {
                let target = random.odd(12);
                [b"GET /".as_slice(), &target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat()
            }
            2 => {
                let mut bytes = valid.to_vec();
                for _ in 0..=random.below(4) {
                    let at = random.below(bytes.len());
                    bytes[at] = random.next() as u8;
                }
                bytes
            }
            _ => {
                let mut bytes = valid.to_vec();
                let at = random.below(bytes.len());
                let odd = random.odd(4);
                bytes.splice(at..at, odd);
                bytes
            }
        };
        let answers = exchange(to, &bytes);
        for status in statuses(&answers) {
            answered += 1;
            assert!(status.starts_with(['4', '5']), "{status} to {:?}", String::from_utf8_lossy(&bytes));
        }
    }
    assert!(answered > 300, "hardly anything was answered at all: {answered}");
    assert!(upstream.received().is_empty(), "{:?}", upstream.last());
    assert_eq!(get(to, "/", &bearer(&portcullis.token(json!({})))).status, 200, "and it still serves");
}

#[test]
fn f22_errors_of_every_stage_are_errors() {
    let broken = Upstream::answering(|_| b"HTTP/9.9 banana\r\n\r\n".to_vec());
    let silent = Upstream::answering(|_| Vec::new());
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let portcullis = Portcullis::start(&format!(
        r#"
        [route]
        broken = {{ match = "/broken", accept = "anyone", upstream = "{}" }}
        silent = {{ match = "/silent", accept = "anyone", upstream = "{}" }}
        gone = {{ match = "/gone", accept = "anyone", upstream = "http://{gone}" }}
        "#,
        broken.url(),
        silent.url()
    ));
    let to = portcullis.address();
    for (target, expected) in
        [("/broken", 502), ("/silent", 502), ("/gone", 502), ("/none", 404), ("/%zz", 400), ("/../x", 400), ("*", 400)]
    {
        assert_eq!(get(to, target, "").status, expected, "{target}");
    }
}

fn banning(upstream: &Upstream) -> Portcullis {
    Setup::new().start(&format!(
        r#"
        [route.app]
        match = "/{{*rest}}"
        accept = ["jwt", "anyone"]
        upstream = "{}"
        deny = [{{ groups = ["banned"] }}, {{ scopes = ["banned"] }}, {{ roles = ["writer"] }}, {{ methods = ["DELETE"] }}]
        "#,
        upstream.url()
    ))
}

#[test]
fn f26_no_value_of_a_claim_hides_it_from_a_deny_rule() {
    let upstream = Upstream::start();
    let portcullis = banning(&upstream);
    let to = portcullis.address();
    assert_eq!(get(to, "/", &bearer(&portcullis.token(json!({"groups": ["fine"]})))).status, 200);
    let served = upstream.received().len();
    let odd = [
        json!("banned"),
        json!(["banned"]),
        json!(["", "banned"]),
        json!(["banned", "banned"]),
        json!(["banned", 7]),
        json!([7, "banned"]),
        json!([["banned"]]),
        json!([null, "banned"]),
        json!({"0": "banned"}),
        json!({"banned": true}),
        json!([{"name": "banned"}]),
        json!(true),
        json!(7),
        json!(["\u{0}", "banned"]),
        json!(["\u{202e}", "banned", "\u{ffff}"]),
        json!((0..200).map(|n| n.to_string()).chain(["banned".to_owned()]).collect::<Vec<_>>()),
    ];
    for value in odd {
        let claims: [Value; 1] = [json!({ "groups": value })];
        for claims in claims {
            let status = get(to, "/", &bearer(&portcullis.token(claims.clone()))).status;
            assert!(matches!(status, 401 | 403), "{claims}: {status}");
        }
    }
    for (claims, what) in [
        (json!({"scope": "read banned"}), "a scope among others"),
        (json!({"scope": ["read", "banned"]}), "an array of scopes"),
        (json!({"scope": "  banned  "}), "spaces around it"),
        (json!({"scope": ["banned", 1]}), "an odd one beside it"),
        (json!({"roles": "writer"}), "one role"),
        (json!({"roles": [[], "writer"]}), "an array within"),
        (json!({"roles": {"writer": 1}}), "an object"),
    ] {
        let status = get(to, "/", &bearer(&portcullis.token(claims))).status;
        assert!(matches!(status, 401 | 403), "{what}: {status}");
    }
    let mut random = Random(26);
    for _ in 0..150 {
        let mut groups: Vec<Value> =
            (0..random.below(5)).map(|_| json!(String::from_utf8_lossy(&random.bytes(6)))).collect();
        groups.insert(random.below(groups.len() + 1), json!("banned"));
        let status = get(to, "/", &bearer(&portcullis.token(json!({ "groups": groups })))).status;
        assert!(matches!(status, 401 | 403), "{groups:?}: {status}");
    }
    assert_eq!(upstream.received().len(), served);
}

#[test]
fn f26_no_bytes_around_a_denied_request_let_it_through() {
    let upstream = Upstream::start();
    let portcullis = banning(&upstream);
    let to = portcullis.address();
    let banned = portcullis.token(json!({"groups": ["banned"]}));
    let mut random = Random(27);
    for round in 0..400 {
        let odd = if round % 2 == 0 { random.odd(5) } else { random.bytes(8) };
        // Nothing that would make another request, which would have to be judged by itself.
        let odd: Vec<u8> = odd.into_iter().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
        let token = banned.as_bytes();
        let (authorization, plain): (&[u8], &[u8]) = (b"\r\nAuthorization: Bearer ", b"GET /x HTTP/1.1\r\nHost: a");
        let request = match round % 6 {
            0 => [b"GET /", odd.as_slice(), b" HTTP/1.1\r\nHost: a", authorization, token, b"\r\n\r\n"].concat(),
            1 => [b"GET /x HTTP/1.1\r\nHost: a", odd.as_slice(), authorization, token, b"\r\n\r\n"].concat(),
            2 => [plain, b"\r\nX-Odd: ", &odd, authorization, token, b"\r\n\r\n"].concat(),
            3 => [plain, b"\r\nCookie: __Host-session=", &odd, authorization, token, b"\r\n\r\n"].concat(),
            4 => [b"GET /x?", odd.as_slice(), b" HTTP/1.1\r\nHost: a", authorization, token, b"\r\n\r\n"].concat(),
            _ => [b"DELETE /", odd.as_slice(), b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat(),
        };
        for status in statuses(&exchange(to, &request)) {
            assert!(status.starts_with('4'), "{status} to {:?}", String::from_utf8_lossy(&request));
        }
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.last());
}

#[test]
fn f26_bytes_that_are_no_text_match_no_weaker_route() {
    let (open, inner) = (Upstream::start(), Upstream::start());
    let portcullis = Portcullis::start(&format!(
        r#"
        [route]
        inner = {{ match = "/inner/{{*rest}}", accept = "jwt", upstream = "{}" }}
        rest = {{ match = "/{{*rest}}", accept = "anyone", upstream = "{}" }}
        "#,
        inner.url(),
        open.url()
    ));
    let to = portcullis.address();
    for byte in 0..=255_u8 {
        for target in [
            format!("/inner%{byte:02x}").into_bytes(),
            format!("/%{byte:02X}inner/x").into_bytes(),
            [b"/inner".as_slice(), &[byte], b"x"].concat(),
            [b"/", [byte].as_slice(), b"inner"].concat(),
        ] {
            let request = [b"GET ".as_slice(), &target, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat();
            let status = send(to, &request).status;
            let shown = String::from_utf8_lossy(&target).into_owned();
            let is_text = byte.is_ascii_graphic() || byte == b' ';
            assert!(matches!(status, 200 | 400 | 401), "{shown}: {status}");
            assert!(is_text || status == 400, "{shown} is answered {status}");
        }
    }
    assert!(inner.received().is_empty());
}
