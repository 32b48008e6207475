//! HTTP/2 in front of an HTTP/1.1 upstream, clear text and by ALPN.

use std::net::SocketAddr;
use std::process::Command;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::crypto::dev_certs::DevCertificates;
use portcullis::model::{Clock as _, SystemClock};
use serde_json::json;

use crate::harness::portcullis::{Portcullis, Setup, block_on};
use crate::harness::upstream::Upstream;

const ROUTES: &str = r#"
    [route]
    all = { match = "/{*rest}", accept = ["jwt", "session"], upstream = "UPSTREAM" }
    public = { match = "/public", accept = "anyone", upstream = "UPSTREAM" }
"#;

fn routes(upstream: &Upstream) -> String {
    ROUTES.replace("UPSTREAM", &upstream.url())
}

/// What came back: the head, the body and its trailers.
struct Answer {
    head: Response<()>,
    body: Bytes,
    trailers: HeaderMap,
}

impl Answer {
    fn value(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name).map(|value| value.to_str().expect("text"))
    }
}

/// Sends requests over one connection with prior knowledge, all at once.
fn send(to: SocketAddr, requests: Vec<Request<Full<Bytes>>>) -> Vec<Answer> {
    exchange(to, requests)
}

fn exchange<B>(to: SocketAddr, requests: Vec<Request<B>>) -> Vec<Answer>
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    block_on(async {
        let stream = tokio::net::TcpStream::connect(to).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut pending = Vec::new();
        for request in requests {
            sender.ready().await.expect("a stream");
            pending.push(sender.send_request(request));
        }
        let mut answers = Vec::new();
        for answer in pending {
            let (head, body) = answer.await.expect("an answer").into_parts();
            let body = body.collect().await.expect("a body");
            let trailers = body.trailers().cloned().unwrap_or_default();
            answers.push(Answer { head: Response::from_parts(head, ()), body: body.to_bytes(), trailers });
        }
        answers
    })
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &'static str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(format!("http://shop.example{target}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body)).expect("a request")
}

fn only(mut answers: Vec<Answer>) -> Answer {
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

#[test]
fn a_request_passes_from_http_2_to_http_1_and_back() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 201 Created\r\nX-Answer: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello".to_vec()
    });
    let portcullis = Portcullis::start(&routes(&upstream));
    let token = format!("Bearer {}", portcullis.token(json!({})));
    let headers = [("authorization", &*token), ("x_auth_subject", "admin"), ("x-forwarded-for", "203.0.113.5")];
    let answer = only(send(portcullis.address(), vec![request("PUT", "/a%20b?c=d", &headers, "body")]));
    assert_eq!((answer.head.status().as_u16(), &*answer.body), (201, &b"hello"[..]));
    assert_eq!((answer.value("x-answer"), answer.value("keep-alive")), (Some("1"), None));
    let seen = upstream.last();
    assert_eq!((seen.line(), seen.value("host")), ("PUT /a%20b?c=d HTTP/1.1", Some("shop.example")));
    assert_eq!((seen.value("content-length"), seen.body.as_slice()), (Some("4"), &b"body"[..]));
    assert_eq!((seen.value("x-auth-subject"), seen.value("x-forwarded-for")), (Some("alice"), Some("127.0.0.1")));
    assert_eq!((seen.value("authorization"), seen.values("x_auth_subject").len()), (None, 0));
}

#[test]
fn many_streams_of_one_connection_are_decided_one_by_one() {
    let upstream = Upstream::answering(|request| {
        let target = request.target().to_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).into_bytes()
    });
    let portcullis = Portcullis::start(&routes(&upstream));
    let token = format!("Bearer {}", portcullis.token(json!({})));
    let requests = (0..60)
        .map(|n| match n % 3 {
            0 => request("GET", &format!("/{n}"), &[("authorization", &token)], ""),
            1 => request("GET", &format!("/{n}"), &[], ""),
            _ => request("GET", "/public", &[], ""),
        })
        .collect();
    for (n, answer) in send(portcullis.address(), requests).into_iter().enumerate() {
        let (status, body) = (answer.head.status().as_u16(), String::from_utf8_lossy(&answer.body).into_owned());
        match n % 3 {
            0 => assert_eq!((status, body), (200, format!("/{n}"))),
            1 => assert_eq!(status, 401, "{n}"),
            _ => assert_eq!((status, &*body), (200, "/public")),
        }
    }
    assert_eq!(upstream.received().len(), 40);
}

#[test]
fn f41_cookie_crumbs_are_joined_before_anything_is_read() {
    let upstream = Upstream::start();
    let setup = Setup::new();
    let session = format!("__Host-session={}", setup.session(|_| {}));
    let portcullis = setup.start(&routes(&upstream));
    let crumbs = |lines: &[&str]| {
        let headers: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        only(send(portcullis.address(), vec![request("GET", "/x", &headers, "")])).head.status().as_u16()
    };
    assert_eq!(crumbs(&["a=1", &session, "b=2"]), 200);
    assert_eq!(upstream.last().values("cookie"), ["a=1; b=2"]);
    assert_eq!(upstream.last().value("x-auth-subject"), Some("alice"));
    assert_eq!(crumbs(&[&session, "a=1", "__Host-session=tossed"]), 400);
    assert_eq!(crumbs(&["__Host-session=tossed", &session]), 400);
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn f05_trailers_over_http_2_carry_no_identity() {
    let upstream = Upstream::start();
    let portcullis = Portcullis::start(&routes(&upstream));
    let token = format!("Bearer {}", portcullis.token(json!({})));
    let mut trailers = HeaderMap::new();
    for name in ["x-auth-subject", "x_auth_roles", "x-sum"] {
        trailers.insert(name, "7".parse().unwrap());
    }
    let frames = [Frame::data(Bytes::from_static(b"hello")), Frame::trailers(trailers)];
    let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, std::convert::Infallible>)));
    let request = Request::post("http://a/x")
        .header("authorization", token)
        .header("te", "trailers")
        .header("trailer", "x-auth-subject, x_auth_roles, x-sum")
        .body(body)
        .unwrap();
    assert_eq!(only(exchange(portcullis.address(), vec![request])).head.status(), 200);
    let seen = upstream.last();
    assert_eq!((seen.body.as_slice(), &*seen.trailers), (&b"hello"[..], &["x-sum: 7".to_owned()][..]));
}

#[test]
fn an_upstreams_trailers_reach_an_http_2_client() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTrailer: grpc-status\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\ngrpc-status: 0\r\n\r\n"
            .to_vec()
    });
    let portcullis = Portcullis::start(&routes(&upstream));
    let headers = [("te", "trailers"), ("content-type", "application/grpc")];
    let answer = only(send(portcullis.address(), vec![request("POST", "/public", &headers, "")]));
    assert_eq!((&*answer.body, &answer.trailers["grpc-status"]), (&b"hello"[..], &"0".parse().unwrap()));
    assert_eq!(upstream.last().value("te"), Some("trailers"));
}

#[test]
fn a_grpc_client_is_refused_in_its_own_words() {
    let upstream = Upstream::start();
    let portcullis = Portcullis::start(&routes(&upstream));
    for (target, authorization, grpc, content_type) in [
        ("/orders.Orders/List", "", "16", "application/grpc"),
        ("/orders.Orders/List", "Bearer a.b.c", "16", "application/grpc+proto"),
        ("/orders.Orders//List", "", "3", "application/grpc"),
        ("/orders.Orders/List", "", "16", "application/grpc-web"),
    ] {
        let mut headers = vec![("content-type", content_type), ("te", "trailers")];
        if !authorization.is_empty() {
            headers.push(("authorization", authorization));
        }
        let answer = only(send(portcullis.address(), vec![request("POST", target, &headers, "\0\0\0\0\0")]));
        assert_eq!((answer.head.status().as_u16(), answer.value("grpc-status")), (200, Some(grpc)), "{target}");
        assert_eq!(answer.value("content-type"), Some(content_type.trim_end_matches("+proto")));
        assert!(answer.value("grpc-message").is_some_and(|message| !message.is_empty()));
        assert_eq!((answer.body.len(), answer.trailers.len()), (0, 0), "it is trailers alone");
        // Who is no gRPC client gets a problem for the same request.
        let plain = only(send(portcullis.address(), vec![request("POST", target, &[], "")]));
        assert!(plain.head.status().is_client_error() && plain.value("grpc-status").is_none());
    }
    assert_eq!(upstream.received().len(), 0);
}

#[test]
fn f21_f58_what_http_1_could_not_say_safely_is_refused_in_http_2_too() {
    let upstream = Upstream::start();
    let portcullis = Portcullis::start(&routes(&upstream));
    let with = |headers: &[(&str, &str)]| request("GET", "/public", headers, "");
    for request in [with(&[("host", "other.example")]), with(&[("content-length", "0"), ("content-length", "0")])] {
        let answer = only(send(portcullis.address(), vec![request]));
        assert_eq!(answer.head.status(), 400);
    }
    let many: Vec<(&str, &str)> = vec![("x-many", "1"); 101];
    assert_eq!(only(send(portcullis.address(), vec![with(&many)])).head.status(), 431);
    assert_eq!(upstream.received().len(), 0);
}

#[test]
fn a_tls_listener_speaks_the_version_that_alpn_chose() {
    let upstream = Upstream::start();
    let setup = Setup::new();
    let mut ca = DevCertificates::new(SystemClock.now()).expect("a CA");
    let server = ca.server(&["localhost"]).expect("a certificate");
    for (name, text) in
        [("ca.pem", ca.ca_pem()), ("server.pem", server.chain_pem), ("server.key", server.key_pem.expose().clone())]
    {
        std::fs::write(setup.folder().join(name), text).expect("a file");
    }
    let portcullis = setup.start_with(
        "listener.main.tls.certificates = [{ chain = \"server.pem\", key = \"server.key\" }]",
        &routes(&upstream),
    );
    let url = format!("https://localhost:{}/public", portcullis.address().port());
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*", "--resolve"]);
        command.arg(format!("localhost:{}:127.0.0.1", portcullis.address().port()));
        command
            .args(["--write-out", "%{http_version} %{http_code}", "--output", "/dev/null"])
            .args(arguments)
            .arg(&url);
        let output = command.output().expect("curl can be run");
        (output.status.success(), String::from_utf8(output.stdout).expect("text"))
    };
    let ca = portcullis.folder().join("ca.pem");
    let ca = ca.to_str().expect("text");
    for (version, said) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        assert_eq!(curl(&["--cacert", ca, version]), (true, said.to_owned()));
        let seen = upstream.last();
        assert_eq!(seen.line(), "GET /public HTTP/1.1");
        assert_eq!(seen.value("x-forwarded-proto"), Some("https"));
    }
    let untrusted = curl(&["--http2"]);
    assert!(!untrusted.0, "a certificate that nobody vouches for: {untrusted:?}");
}

#[test]
fn f61_a_body_that_is_too_large_is_refused_with_and_without_a_length() {
    let upstream = Upstream::start();
    let portcullis = Portcullis::start(&format!(
        "[route.x]\nmatch = \"/x\"\naccept = \"anyone\"\nmax_body = \"4B\"\nupstream = \"{}\"",
        upstream.url()
    ));
    let to = portcullis.address();
    for (body, status) in [("1234", 200), ("12345", 413)] {
        assert_eq!(only(send(to, vec![request("POST", "/x", &[], body)])).head.status(), status);
        let frame = Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(body.as_bytes())));
        let streamed = Request::post("http://a/x").body(StreamBody::new(futures_util::stream::iter([frame])));
        assert_eq!(only(exchange(to, vec![streamed.expect("a request")])).head.status(), status, "without a length");
    }
    assert_eq!(upstream.received().len(), 2);
}
