//! Which connection carries a request, and what becomes of it.

use super::*;

#[tokio::test]
async fn a_connection_is_used_again() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let first = forwarding(&upstream, get());
        let mut wire = origin.accept().await;
        assert_eq!(wire.head().await, "GET /a?b=%2e HTTP/1.1\r\nhost: a.example\r\n\r\n");
        wire.say(OK).await;
        assert_eq!(text(first.await.unwrap().unwrap()).await, "ok");
        assert_eq!(upstream.counts(), (1, 1));

        let second = forwarding(&upstream, get());
        wire.head().await;
        wire.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(second.await.unwrap().unwrap().status(), 204);
        assert_eq!(upstream.counts(), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn the_connection_used_last_comes_first() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let one = forwarding(&upstream, get());
        let mut first = origin.serve().await;
        let other = forwarding(&upstream, get());
        let one = one.await.unwrap().unwrap();
        let mut second = origin.serve().await;
        assert_eq!(text(one).await, "ok");
        assert_eq!(text(other.await.unwrap().unwrap()).await, "ok");
        assert_eq!(upstream.counts(), (2, 2));

        let again = forwarding(&upstream, get());
        second.head().await;
        second.say(OK).await;
        assert_eq!(text(again.await.unwrap().unwrap()).await, "ok");
        first.say("").await;
    })
    .await;
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_nobody_an_answer() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let request = forwarding(&upstream, get());
        let wire = origin.serve().await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");

        // The runtime hears of the closing together with something that this test waits for, so that the test goes on
        // before the connection's own task does: the pool still takes the connection for good.
        let (mut bell, ringer) =
            (TcpStream::connect(origin.0.local_addr().unwrap()).await.unwrap(), origin.accept().await);
        drop(wire);
        drop(ringer);
        bell.read_u8().await.unwrap_err();
        assert_eq!(upstream.counts(), (1, 1));

        let body = http_body_util::Full::new(Bytes::from_static(b"data"));
        let request = Request::post("/").header("host", "a").body(body).unwrap();
        let (response, ()) = tokio::join!(forward(&upstream, request), async {
            let mut wire = origin.accept().await;
            assert!(wire.head().await.starts_with("POST / "));
            wire.expect("data").await;
            wire.say(OK).await;
        });
        assert_eq!(text(response.unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn answers_that_end_a_connection_end_it() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
    ] {
        on_one_thread(async {
            let origin = Origin::new().await;
            let upstream = upstream(settings(vec![origin.endpoint()]));
            let request = forwarding(&upstream, get());
            let mut wire = origin.accept().await;
            wire.head().await;
            wire.say(answer).await;
            let response = request.await.unwrap().unwrap();
            assert_eq!(response.version(), Version::HTTP_11);
            assert_eq!(text(response).await, "ok");
            assert_eq!(upstream.counts().1, 0, "{answer}");
            wire.closed().await;
        })
        .await;
    }
}

#[tokio::test]
async fn f60_a_connection_that_authenticates_somebody_serves_nobody_else() {
    let answer = |header: &str| format!("HTTP/1.1 401 x\r\n{header}content-length: 2\r\n\r\nok");
    let plain = answer("www-authenticate: Bearer realm=\"ntlm\"\r\n");
    for (request, answer, kept) in [
        (None, answer("www-authenticate: NTLM\r\n"), false),
        (None, answer("www-authenticate: Basic realm=x, negotiate\r\n"), false),
        (None, answer("www-authenticate: Basic\r\nwww-authenticate: Negotiate abc=\r\n"), false),
        (None, answer("proxy-authenticate: ntlm\r\n"), false),
        (Some("NTLM TlRMTVNTUAAB"), OK.to_owned(), false),
        (Some("Negotiate YII"), OK.to_owned(), false),
        (Some("Bearer abc"), plain, true),
    ] {
        on_one_thread(async {
            let origin = Origin::new().await;
            let upstream = upstream(settings(vec![origin.endpoint()]));
            let mut sent = get();
            if let Some(credential) = request {
                sent.headers_mut().insert("authorization", credential.parse().unwrap());
            }
            let request = forwarding(&upstream, sent);
            let mut wire = origin.accept().await;
            wire.head().await;
            wire.say(&answer).await;
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
            assert_eq!(upstream.counts().1, usize::from(kept), "{answer}");
            if !kept {
                wire.closed().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_answer_before_the_requests_end_does_not_lend_its_connection() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let (sender, body) = bodies::channel();
        let request = forwarding(&upstream, Request::post("/").header("host", "a").body(body).unwrap());
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.say(OK).await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        assert_eq!(upstream.counts(), (1, 0));
        drop(sender);
        wire.closed().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_idle_for_long_is_closed() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let mut settings = settings(vec![origin.endpoint()]);
        settings.timeouts.idle = Duration::from_millis(1);
        let upstream = upstream(settings);
        let request = forwarding(&upstream, get());
        let wire = origin.serve().await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        wire.closed().await;
        assert_eq!(upstream.counts().1, 0);
    })
    .await;
}

#[tokio::test]
async fn what_has_been_idle_for_too_long_is_not_used() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let mut settings = settings(vec![origin.endpoint()]);
        settings.timeouts.idle = Duration::ZERO;
        let upstream = upstream(settings);
        for _ in 0..2 {
            let request = forwarding(&upstream, get());
            let _wire = origin.serve().await;
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        }
    })
    .await;
}

#[tokio::test]
async fn no_more_are_kept_than_allowed() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(UpstreamSettings { max_idle: 0, ..settings(vec![origin.endpoint()]) });
        let request = forwarding(&upstream, get());
        let wire = origin.serve().await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        wire.closed().await;
    })
    .await;
}

#[tokio::test]
async fn a_surge_is_kept_for_a_while_and_then_trimmed() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(UpstreamSettings { max_idle: 1, ..settings(vec![origin.endpoint()]) });
        let requests: Vec<_> = (0..3).map(|_| forwarding(&upstream, get())).collect();
        let mut wires = Vec::new();
        for _ in &requests {
            wires.push(origin.accept().await);
        }
        for wire in &mut wires {
            wire.head().await;
            wire.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
        for request in requests {
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        }
        assert_eq!(upstream.0.pools()[0].counts(), (3, 3), "who comes next finds them");
        for wire in wires.drain(..2) {
            wire.closed().await;
        }
        assert_eq!(upstream.0.pools()[0].counts().1, 1);
    })
    .await;
}

#[tokio::test]
async fn endpoints_take_turns_and_the_unreachable_one_waits() {
    on_one_thread(async {
        let (one, two, gone) = (Origin::new().await, Origin::new().await, Origin::new().await);
        let endpoints = vec![gone.endpoint(), one.endpoint(), two.endpoint()];
        drop(gone);
        let upstream = upstream(settings(endpoints));
        // The first turn is the unreachable one's, and the next in line steps in.
        let request = forwarding(&upstream, get());
        let mut wire = one.serve().await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        // Stepping in was its own turn.
        let request = forwarding(&upstream, get());
        let _wire = two.serve().await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        let request = forwarding(&upstream, get());
        wire.head().await;
        wire.say(OK).await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        assert!(upstream.pools()[0].is_avoided());
        assert!(!upstream.pools()[1].is_avoided());
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_counts_as_long_as_it_lasts() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let mut wanted = get();
        wanted.headers_mut().insert("upgrade", "websocket".parse().unwrap());
        wanted.headers_mut().insert("connection", "upgrade".parse().unwrap());
        let request = forwarding(&upstream, wanted);
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.say("HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello").await;
        let mut response = request.await.unwrap().unwrap();
        let mut tunnel = Wire(hyper_util::rt::TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap()));
        tunnel.expect("hello").await;
        tunnel.say("hi").await;
        wire.expect("hi").await;
        assert_eq!(upstream.counts(), (1, 0));
        drop((response, tunnel));
        wire.closed().await;
        assert_eq!(upstream.counts(), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn the_endpoints_own_name_is_sent_where_so_configured() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let host_header = HostHeader::Endpoint;
        let upstream = upstream(UpstreamSettings { host_header, ..settings(vec![origin.endpoint()]) });
        let _request = forwarding(&upstream, get());
        let host = format!("host: {}\r\n", origin.endpoint().authority());
        assert!(origin.accept().await.head().await.contains(&host));
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_is_dropped_closes_its_connections() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let request = forwarding(&upstream, get());
        let wire = origin.serve().await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        drop(upstream);
        wire.closed().await;
    })
    .await;
}
