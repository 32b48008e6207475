//! What comes before an answer over HTTP/2: `103 Early Hints`, and `100 Continue` for a client that waits for it.

use std::future::poll_fn;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::runtime::Runtime;

use super::early_hints::{HINT, OK, Origin, portcullis, say, settle};
use super::expect;
use crate::harness::h2raw::{self, DATA, END_STREAM, H2, HEADERS, Outcome, PING, RST_STREAM, frame};
use crate::harness::portcullis::Portcullis;
use crate::harness::upstream::Upstream;

/// A client that is driven beside its test.
struct Client {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

/// What is heard of an answer next.
enum Said {
    Interim(u16, HeaderMap),
    Answer(Response<RecvStream>),
}

impl Said {
    #[track_caller]
    fn interim(self) -> (u16, Vec<String>) {
        match self {
            Self::Interim(status, headers) => {
                (status, headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect())
            }
            Self::Answer(answer) => panic!("nothing before {answer:?}"),
        }
    }

    #[track_caller]
    fn status(self) -> u16 {
        match self {
            Self::Interim(status, _) => panic!("{status} before the answer"),
            Self::Answer(answer) => answer.status().as_u16(),
        }
    }
}

impl Client {
    fn connect(to: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (sender, connection) = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(to).await.expect("a connection");
            h2::client::handshake(stream).await.expect("HTTP/2")
        });
        runtime.spawn(connection);
        Self { runtime, sender }
    }

    fn ask(&mut self, method: &str, path: &str, lines: &[(&str, &str)]) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::builder().method(method).uri(format!("http://a{path}"));
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        self.sender.send_request(request.body(()).expect("a request"), method == "GET").expect("a stream")
    }

    fn next(&self, answer: &mut ResponseFuture) -> Said {
        let next = poll_fn(|cx| match answer.poll_informational(cx) {
            Poll::Ready(Some(said)) => {
                let said = said.expect("a stream that goes on");
                Poll::Ready(Said::Interim(said.status().as_u16(), said.headers().clone()))
            }
            _ => Pin::new(&mut *answer).poll(cx).map(|answer| Said::Answer(answer.expect("an answer"))),
        });
        // Only so that a broken test ends.
        self.runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(20), next).await })
            .expect("something comes")
    }
}

#[test]
fn the_client_has_the_hints_before_the_upstream_has_the_answer() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut client = Client::connect(portcullis.address());
    for _ in 0..2 {
        let (mut answer, _) = client.ask("GET", "/hints/a", &[]);
        let mut upstream = origin.asked();
        for link in ["</a.css>; rel=preload", "</b.js>; rel=preload"] {
            say(&mut upstream, format!("HTTP/1.1 103 Early Hints\r\nX: 1\r\nLink: {link}\r\n\r\n"));
            assert_eq!(client.next(&mut answer).interim(), (103, vec![format!("link: {link}")]));
        }
        // The upstream has said no more than that.
        say(&mut upstream, OK);
        assert_eq!(client.next(&mut answer).status(), 200);
    }
}

#[test]
fn streams_beside_each_other_have_each_its_own_hints() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut client = Client::connect(portcullis.address());
    let (mut first, _) = client.ask("GET", "/hints/1", &[]);
    let mut one = origin.asked();
    let (mut second, _) = client.ask("GET", "/hints/2", &[]);
    let mut two = origin.asked();
    say(&mut two, "HTTP/1.1 103 Early Hints\r\nLink: </2>\r\n\r\n");
    assert_eq!(client.next(&mut second).interim(), (103, vec!["link: </2>".to_owned()]));
    say(&mut one, "HTTP/1.1 103 Early Hints\r\nLink: </1>\r\n\r\n");
    assert_eq!(client.next(&mut first).interim(), (103, vec!["link: </1>".to_owned()]));
    say(&mut two, OK);
    assert_eq!(client.next(&mut second).status(), 200);
    say(&mut one, OK);
    assert_eq!(client.next(&mut first).status(), 200);
}

#[test]
fn a_route_without_the_setting_has_none() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut client = Client::connect(portcullis.address());
    for path in ["/without/a", "/removed/a"] {
        let (mut answer, _) = client.ask("GET", path, &[]);
        let mut upstream = origin.asked();
        say(&mut upstream, HINT);
        settle(&portcullis);
        say(&mut upstream, OK);
        assert_eq!(client.next(&mut answer).status(), 200, "{path}");
    }
}

#[test]
fn f56_a_stream_that_is_reset_has_none() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let mut client = H2::open(portcullis.address());
    client.ask(1, &h2raw::get("/hints/a"));
    let mut upstream = origin.asked();
    client.send(frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()));
    assert!(client.lives());
    // Nobody may be listening any more.
    let _ = upstream.write_all(HINT.as_bytes());
    settle(&portcullis);
    client.send(frame(PING, 0, 0, b"the end."));
    loop {
        let read = client.next().expect("a connection that goes on");
        assert_ne!((read.kind, read.stream), (HEADERS, 1));
        if read.kind == PING && read.payload == b"the end." {
            break;
        }
    }
}

#[test]
fn curl_shows_them() {
    let origin = Origin::start();
    let portcullis = portcullis(&origin);
    let url = format!("http://{}/hints/a", portcullis.address());
    let curl = std::thread::spawn(move || {
        Command::new("curl").args(["--silent", "--verbose", "--http2-prior-knowledge", &url]).output().expect("curl")
    });
    let mut upstream = origin.asked();
    say(&mut upstream, HINT);
    settle(&portcullis);
    say(&mut upstream, OK);
    let output = curl.join().expect("curl");
    let told = String::from_utf8_lossy(&output.stderr);
    let hint = told.find("< HTTP/2 103").unwrap_or_else(|| panic!("{told}"));
    let link = told.find("< link: </a.css>; rel=preload").unwrap_or_else(|| panic!("{told}"));
    let answer = told.find("< HTTP/2 200").unwrap_or_else(|| panic!("{told}"));
    assert!(hint < link && link < answer, "{told}");
    assert_eq!(output.stdout, b"ok");
}

#[test]
fn a_client_that_waits_is_told_to_go_on_once_it_may() {
    let upstream = Upstream::start();
    let portcullis = expect::start(&upstream);
    let mut client = Client::connect(portcullis.address());
    for length in [&[("content-length", "5")][..], &[]] {
        let (mut answer, mut body) = client.ask("POST", "/x", &[length, &[("expect", "100-continue")]].concat());
        assert_eq!(client.next(&mut answer).interim(), (100, vec![]));
        body.send_data("hello".into(), true).expect("an open stream");
        assert_eq!(client.next(&mut answer).status(), 200);
        assert_eq!((upstream.last().body.as_slice(), upstream.last().value("expect")), (&b"hello"[..], None));
    }
    // Whoever has nothing to send does not wait.
    let (mut answer, _) = client.ask("GET", "/x", &[("expect", "100-continue")]);
    assert_eq!(client.next(&mut answer).status(), 200);
}

#[test]
fn a_denial_is_no_invitation_to_send_the_body() {
    let upstream = Upstream::start();
    let portcullis = expect::start(&upstream);
    let mut client = Client::connect(portcullis.address());
    for (path, lines, status) in [
        ("/closed", &["100-continue"][..], 401),
        ("/a/../b", &["100-continue"], 400),
        ("/x", &["200-ok"], 417),
        ("/x", &["100-continue, 200-ok"], 417),
        ("/x", &["100-continue", "100-continue"], 417),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("expect", *line)).collect();
        let (mut answer, _body) = client.ask("POST", path, &[&lines[..], &[("content-length", "9")]].concat());
        assert_eq!(client.next(&mut answer).status(), status, "{path} {lines:?}");
    }
    assert_eq!(upstream.received().len(), 0);
}

#[test]
fn nobody_is_told_to_go_on_while_there_is_no_upstream_to_go_to() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let portcullis = Portcullis::start(&format!(
        "[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"http://{gone}\"\n"
    ));
    let mut client = Client::connect(portcullis.address());
    let (mut answer, _body) = client.ask("POST", "/x", &[("expect", "100-continue")]);
    assert_eq!(client.next(&mut answer).status(), 502);
}

#[test]
fn a_client_that_does_not_wait_is_served_all_the_same() {
    let upstream = Upstream::start();
    let portcullis = expect::start(&upstream);
    let fields = [&h2raw::request(b"POST", "/x")[..], &[(b"expect", b"100-continue")]].concat();
    let mut client = H2::open(portcullis.address());
    client.send(
        [frame(HEADERS, h2raw::END_HEADERS, 1, &h2raw::block(&fields)), frame(DATA, END_STREAM, 1, b"hello")].concat(),
    );
    assert_eq!(client.outcome(1), Outcome::Answered(200, "hello".into()));
    assert_eq!(upstream.last().body, b"hello");
}
