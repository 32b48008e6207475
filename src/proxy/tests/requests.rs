//! What the upstream gets to see.

use http::{HeaderMap, Request, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

#[tokio::test]
async fn what_a_client_says_of_itself_does_not_arrive() {
    on_one_thread(async {
        let house = House::new().await;
        let request = "GET /public/a%20b?x=%2e&y HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\
            X-Auth-Subject: mallory\r\nX_Auth_Roles: admin\r\nX.Auth.Email: m@evil\r\n\
            X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX_Forwarded_Host: evil\r\nForwarded: for=1.2.3.4\r\n\
            X-Real-IP: 1.2.3.4\r\nX-Request-Id: mine\r\nX-Original-URL: /admin\r\n\
            Connection: keep-alive, x-gone\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\n\
            Proxy-Authorization: Basic eDp5\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
        let mut client = house.say(request).await;
        let mut wire = house.origin.accept().await;
        let head = wire.head().await;
        assert_eq!(head.lines().next(), Some("GET /public/a%20b?x=%2e&y HTTP/1.1"));
        let id = lines(&head, "x-request-id: ")[0]["x-request-id: ".len()..].to_owned();
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        let mut headers: Vec<_> = head.lines().skip(1).filter(|line| !line.is_empty()).collect();
        headers.sort_unstable();
        assert_eq!(
            headers,
            [
                "accept: */*",
                "forwarded: for=127.0.0.1;host=\"a.example\";proto=http",
                "host: a.example",
                "x-forwarded-for: 127.0.0.1",
                "x-forwarded-host: a.example",
                "x-forwarded-port: 80",
                "x-forwarded-proto: http",
                "x-real-ip: 127.0.0.1",
                &format!("x-request-id: {id}"),
            ]
        );
        wire.say(OK).await;
        let answer = client.head().await;
        assert_eq!(lines(&answer, "x-request-id: "), [format!("x-request-id: {id}")]);
    })
    .await;
}

#[tokio::test]
async fn f05_connection_cannot_take_the_identity_away() {
    on_one_thread(async {
        let house = House::new().await;
        let token = token("alice");
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nX-Auth-Subject: mallory\r\n\
             Connection: X-Auth-Subject, x-auth-issuer, x-forwarded-for, host, x-request-id, close\r\n\r\n"
        );
        let _client = house.say(&request).await;
        let head = house.origin.accept().await.head().await;
        assert_eq!(lines(&head, "x-auth-subject"), ["x-auth-subject: alice"]);
        assert_eq!(lines(&head, "x-auth-issuer"), ["x-auth-issuer: https://id.example.com"]);
        assert_eq!(lines(&head, "x-forwarded-for"), ["x-forwarded-for: 127.0.0.1"]);
        assert_eq!(lines(&head, "host"), ["host: a"]);
        assert_eq!(lines(&head, "x-request-id").len(), 1);
        assert_eq!(lines(&head, "authorization"), Vec::<&str>::new());
        assert!(!head.contains(&token));
    })
    .await;
}

#[tokio::test]
async fn f05_trailers_carry_no_identity() {
    on_one_thread(async {
        let house = House::new().await;
        let request = "POST /public/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
            Trailer: X-Sum, X-Auth-Subject, X_Auth_Roles, X-Forwarded-For\r\n\r\n\
            3\r\nabc\r\n0\r\nX-Sum: 7\r\nX-Auth-Subject: mallory\r\nX_Auth_Roles: admin\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n";
        let _client = house.say(request).await;
        let mut wire = house.origin.accept().await;
        assert_eq!(lines(&wire.head().await, "transfer-encoding"), ["transfer-encoding: chunked"]);
        wire.expect("3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n").await;
        wire.say(OK).await;
    })
    .await;
}

#[tokio::test]
async fn a_trusted_proxy_is_continued() {
    on_one_thread(async {
        let house = House::with(|front| front.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()], |_| {}).await;
        let request = "GET /public/ HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
            X-Request-Id: theirs-1\r\n\r\n";
        let mut client = house.say(request).await;
        let mut wire = house.origin.accept().await;
        let head = wire.head().await;
        assert_eq!(lines(&head, "x-forwarded-for"), ["x-forwarded-for: 192.0.2.7, 127.0.0.1"]);
        assert_eq!(lines(&head, "x-forwarded-proto"), ["x-forwarded-proto: https"]);
        assert_eq!(lines(&head, "x-real-ip"), ["x-real-ip: 192.0.2.7"]);
        assert_eq!(lines(&head, "x-request-id"), ["x-request-id: theirs-1"]);
        wire.say(OK).await;
        assert_eq!(lines(&client.head().await, "x-request-id"), ["x-request-id: theirs-1"]);
    })
    .await;
}

#[tokio::test]
async fn an_expected_continue_is_ours_to_give() {
    on_one_thread(async {
        let house = House::new().await;
        let request = "POST /public/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        let mut client = house.say(request).await;
        let mut wire = house.origin.accept().await;
        let head = wire.head().await;
        assert!(lines(&head, "expect").is_empty(), "{head}");
        assert_eq!(lines(&head, "content-length"), ["content-length: 3"]);
        assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.say("abc").await;
        wire.expect("abc").await;
        wire.say(OK).await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    })
    .await;
}

#[tokio::test]
async fn an_old_client_is_served() {
    on_one_thread(async {
        let house = House::new().await;
        let mut client = house.say("GET /public/ HTTP/1.0\r\nHost: a\r\n\r\n").await;
        let mut wire = house.origin.accept().await;
        assert!(wire.head().await.starts_with("GET /public/ HTTP/1.1\r\n"));
        wire.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
        let head = client.head().await;
        assert!(lines(&head, "transfer-encoding").is_empty(), "{head}");
        client.expect("ok").await;
        client.closed().await;
    })
    .await;
}

#[tokio::test]
async fn http2_becomes_proper_http1() {
    on_one_thread(async {
        let house = House::new().await;
        let tcp = TcpStream::connect(house.address).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
        tokio::task::spawn_local(connection);
        let request = |method: &str| {
            Request::builder()
                .method(method)
                .uri("http://a.example/public/x?y=%2e")
                .version(Version::HTTP_2)
                .header("te", "trailers")
                .header("cookie", "a=1")
                .header("cookie", "b=2")
        };

        let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
        let answer = tokio::task::spawn_local(client.send_request(request("GET").body(body).unwrap()));
        let mut wire = house.origin.accept().await;
        let head = wire.head().await;
        assert_eq!(head.lines().next(), Some("GET /public/x?y=%2e HTTP/1.1"));
        assert_eq!(lines(&head, "host"), ["host: a.example"]);
        assert_eq!(lines(&head, "cookie"), ["cookie: a=1; b=2"]);
        assert_eq!(lines(&head, "te"), ["te: trailers"]);
        assert!(lines(&head, "transfer-encoding").is_empty() && lines(&head, "content-length").is_empty(), "{head}");
        wire.say(
            "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nkeep-alive: timeout=5\r\ntransfer-encoding: chunked\r\n",
        )
        .await;
        wire.say("trailer: grpc-status\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n").await;
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        for name in ["connection", "keep-alive", "transfer-encoding", "upgrade"] {
            assert!(!answer.headers().contains_key(name), "{name}");
        }
        let body = answer.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");

        // A body of unknown length, then trailers: chunked it is.
        let mut trailers = HeaderMap::new();
        trailers.insert("x-auth-subject", "mallory".parse().unwrap());
        let frames = [Frame::data(Bytes::from_static(b"abc")), Frame::trailers(trailers)];
        let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok)));
        let answer = tokio::task::spawn_local(client.send_request(request("POST").body(body.boxed_unsync()).unwrap()));
        let head = wire.head().await;
        assert_eq!(lines(&head, "transfer-encoding"), ["transfer-encoding: chunked"]);
        assert!(lines(&head, "content-length").is_empty());
        wire.expect("3\r\nabc\r\n0\r\n\r\n").await;
        wire.say(OK).await;
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    })
    .await;
}
