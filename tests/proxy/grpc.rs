//! gRPC through the proxy, of every kind: what matters of it is HTTP/2, bodies both ways at once, and trailers.

use std::net::SocketAddr;

use ::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use h2::{RecvStream, SendStream};

use crate::harness::http;
use crate::harness::portcullis::{Portcullis, block_on};

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().expect("a name"), code.parse().expect("a value"))])
}

async fn next(body: &mut RecvStream) -> Option<Bytes> {
    let data = body.data().await?.expect("data");
    body.flow_control().release_capacity(data.len()).expect("a stream");
    Some(data)
}

/// A server of five methods, one for each kind.
fn serve() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        block_on(async {
            listener.set_nonblocking(true).expect("a mode");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                    while let Some(Ok((request, mut respond))) = connection.accept().await {
                        tokio::spawn(async move {
                            assert_eq!(request.headers()["te"], "trailers");
                            assert!(request.headers().contains_key("x-request-id"));
                            let kind = request.uri().path().to_owned();
                            let head = Response::builder().header("content-type", "application/grpc");
                            if kind == "/s/Nothing" {
                                let head = head.header("grpc-status", "5").body(()).expect("a head");
                                respond.send_response(head, true).expect("a stream");
                                return;
                            }
                            let answer =
                                respond.send_response(head.body(()).expect("a head"), false).expect("a stream");
                            reply(&kind, request.into_body(), answer).await;
                        });
                    }
                });
            }
        });
    });
    address
}

async fn reply(kind: &str, mut asked: RecvStream, mut answer: SendStream<Bytes>) {
    let mut say = |data: Bytes| answer.send_data(data, false).expect("a stream");
    match kind {
        "/s/Echo" => {
            while let Some(data) = next(&mut asked).await {
                say(data);
            }
        }
        "/s/Many" => ["one", "two", "three"].into_iter().for_each(|data| say(Bytes::from(data))),
        _ => {
            let mut all = Vec::new();
            while let Some(data) = next(&mut asked).await {
                all.extend_from_slice(&data);
            }
            say(Bytes::from(all));
        }
    }
    answer.send_trailers(status("0")).expect("a stream");
}

fn start() -> Portcullis {
    let url = format!("h2c://{}", serve());
    Portcullis::start(&format!("[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"{url}\""))
}

fn call(path: &str) -> Request<()> {
    let request = Request::post(format!("http://shop.example{path}"));
    request.header("content-type", "application/grpc").header("te", "trailers").body(()).expect("a request")
}

async fn connect(to: SocketAddr) -> h2::client::SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(to).await.expect("a connection");
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender.ready().await.expect("a stream")
}

/// All of an answer, and the status at its end.
async fn rest(body: &mut RecvStream) -> (String, String) {
    let mut all = Vec::new();
    while let Some(data) = next(body).await {
        all.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.expect("no reset").expect("trailers");
    (String::from_utf8(all).expect("text"), trailers["grpc-status"].to_str().expect("text").to_owned())
}

#[test]
fn one_message_each_way_and_many_of_either_side() {
    let portcullis = start();
    block_on(async {
        let mut sender = connect(portcullis.address()).await;
        for (path, sent, answer) in [
            ("/s/One", &["hello"][..], "hello"),
            ("/s/Many", &["go"], "onetwothree"),
            ("/s/All", &["a", "b", "c"], "abc"),
        ] {
            let (response, mut out) = sender.send_request(call(path), false).expect("a stream");
            for (number, part) in sent.iter().enumerate() {
                out.send_data(Bytes::from(*part), number + 1 == sent.len()).expect("a stream");
            }
            let response = response.await.expect("an answer");
            assert_eq!(
                (response.status().as_u16(), &response.headers()["content-type"]),
                (200, &"application/grpc".parse().expect("a value"))
            );
            assert_eq!(rest(&mut response.into_body()).await, (answer.to_owned(), "0".to_owned()), "{path}");
        }
    });
}

#[test]
fn an_error_without_a_message_is_a_head_alone() {
    let portcullis = start();
    block_on(async {
        let mut sender = connect(portcullis.address()).await;
        let (response, _) = sender.send_request(call("/s/Nothing"), true).expect("a stream");
        let response = response.await.expect("an answer");
        assert_eq!(response.headers()["grpc-status"], "5");
        assert!(response.body().is_end_stream());
    });
}

#[test]
fn both_sides_talk_at_once() {
    let portcullis = start();
    block_on(async {
        let mut sender = connect(portcullis.address()).await;
        let (response, mut out) = sender.send_request(call("/s/Echo"), false).expect("a stream");
        // The answer has begun before anything of the request was sent.
        let mut body = response.await.expect("an answer").into_body();
        for part in ["ping", "pong", "ping"] {
            out.send_data(Bytes::from(part), false).expect("a stream");
            assert_eq!(next(&mut body).await.expect("an echo"), part);
        }
        out.send_trailers(status("0")).expect("a stream");
        assert_eq!(rest(&mut body).await, (String::new(), "0".to_owned()));
    });
}

#[test]
fn a_client_of_http_1_1_gets_the_trailers_that_it_asks_for() {
    let portcullis = start();
    let headers = "TE: trailers\r\nConnection: TE\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n";
    let mut client = http::Wire::connect(portcullis.address());
    client.write(format!("POST /s/Many HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
    let answer = client.read_until("0\r\ngrpc-status: 0\r\n\r\n");
    assert!(answer.contains("trailer: grpc-status"), "{answer}");
}
