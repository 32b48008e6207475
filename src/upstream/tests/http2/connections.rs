//! Which connection carries a request over HTTP/2.

use super::*;

#[tokio::test]
async fn many_requests_at_once_share_one_connection() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let requests: Vec<_> = (0..20).map(|_| forwarding(&upstream, get())).collect();
        let mut peer = Peer::accept(&origin).await;
        let mut asked = Vec::new();
        for _ in 0..20 {
            asked.push(peer.asked().await);
        }
        let head = &asked[0].request;
        assert_eq!(head.uri().to_string(), "http://a.example/a?b=%2e");
        assert_eq!(head.headers().len(), 0, "{:?}", head.headers());
        assert_eq!(upstream.counts(), (1, 0));
        asked.into_iter().for_each(Asked::answer);
        for request in requests {
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        }
        assert_eq!(upstream.counts(), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn where_streams_run_out_there_are_more_connections_and_then_the_upstream_is_busy() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(UpstreamSettings { max_connections: 2, ..settings });
        let mut one_each = Builder::new();
        one_each.max_concurrent_streams(1);
        let first = forwarding(&upstream, get());
        let mut peer = Peer::with(&origin, &one_each).await;
        let first_asked = peer.asked().await;
        let second = forwarding(&upstream, get());
        let mut other = Peer::with(&origin, &one_each).await;
        let second_asked = other.asked().await;
        assert_eq!(upstream.counts(), (2, 0));
        assert_eq!(forward(&upstream, get()).await.unwrap_err().reason, Reason::UpstreamBusy);

        first_asked.answer();
        assert_eq!(text(first.await.unwrap().unwrap()).await, "ok");
        let third = forwarding(&upstream, get());
        peer.asked().await.answer();
        assert_eq!(text(third.await.unwrap().unwrap()).await, "ok");
        second_asked.answer();
        assert_eq!(text(second.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn a_stream_counts_until_its_request_is_over_too() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let (_sender, body) = super::super::bodies::channel();
        let request = Request::post("/").header("host", "a").body(body).unwrap();
        let request = forwarding(&upstream, request);
        let mut peer = Peer::accept(&origin).await;
        let mut asked = peer.asked().await;
        let mut body = asked.respond.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(b"no, thanks"), true).unwrap();
        assert_eq!(text(request.await.unwrap().unwrap()).await, "no, thanks");
        // The rest of what the client sends is not waited for.
        let end = asked.request.body_mut().data().await.unwrap().unwrap_err();
        assert_eq!(end.reason(), Some(Code::CANCEL));
        assert_eq!(upstream.counts(), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_nobody_wants_is_reset_and_the_connection_stays() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let request = forwarding(&upstream, get());
        let mut peer = Peer::accept(&origin).await;
        let mut asked = peer.asked().await;
        let mut body = asked.respond.send_response(Response::new(()), false).unwrap();
        drop(request.await.unwrap().unwrap());
        let code = std::future::poll_fn(|cx| body.poll_reset(cx)).await.unwrap();
        assert_eq!(code, Code::CANCEL);

        let request = forwarding(&upstream, get());
        let mut asked = peer.asked().await;
        request.abort();
        let code = std::future::poll_fn(|cx| asked.respond.poll_reset(cx)).await.unwrap();
        assert_eq!(code, Code::CANCEL);

        let again = forwarding(&upstream, get());
        peer.asked().await.answer();
        assert_eq!(text(again.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn connections_at_rest_are_closed_in_time_and_with_their_upstream() {
    on_one_thread(async {
        let (origin, mut settings) = http2().await;
        settings.timeouts.idle = Duration::from_millis(100);
        let mut upstream = upstream(settings.clone());
        let peer = one_answered(&origin, &upstream).await;
        peer.ended.await.unwrap();
        while upstream.counts() != (0, 0) {
            tokio::task::yield_now().await;
        }

        settings.timeouts.idle = Duration::from_secs(20);
        upstream = super::upstream(settings);
        let peer = one_answered(&origin, &upstream).await;
        drop(upstream);
        peer.ended.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_owes_answers_in_silence_is_asked_and_ended() {
    on_one_thread(async {
        let (origin, mut settings) = http2().await;
        settings.timeouts.ping = Duration::from_millis(20);
        let upstream = upstream(settings);
        let request = forwarding(&upstream, get());
        let mut peer = Peer::accept(&origin).await;
        let _asked = peer.asked().await;
        // The origin's connection is not polled any more: it answers no ping.
        peer.ended.abort();
        let _ = peer.ended.await;
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_speak_http_2_is_sent_nothing() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        for answer in ["HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", ""] {
            let request = forwarding(&upstream(settings.clone()), post("secret"));
            let mut wire = origin.accept().await;
            let mut said = Vec::new();
            wire.expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
            wire.say(answer).await;
            if answer.is_empty() {
                drop(wire);
            } else {
                let _ = wire.0.read_to_end(&mut said).await;
                assert!(!said.windows(6).any(|bytes| bytes == b"secret"));
            }
            assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamUnreachable);
        }
    })
    .await;
}

#[tokio::test]
async fn f60_what_binds_itself_to_a_connection_has_one_of_its_own() {
    on_one_thread(async {
        let (origin, settings) = http2().await;
        let upstream = upstream(settings);
        let mut peer = one_answered(&origin, &upstream).await;
        let mut bound = get();
        bound.headers_mut().insert("authorization", "Negotiate abc".parse().unwrap());
        let request = forwarding(&upstream, bound);
        let mut alone = Peer::accept(&origin).await;
        alone.asked().await.answer();
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        alone.ended.await.unwrap();

        let request = forwarding(&upstream, get());
        let mut asked = peer.asked().await;
        let challenge = Response::builder().status(401).header("www-authenticate", "NTLM").body(()).unwrap();
        asked.respond.send_response(challenge, true).unwrap();
        assert_eq!(request.await.unwrap().unwrap().status(), 401);
        let request = forwarding(&upstream, get());
        let mut next = Peer::accept(&origin).await;
        next.asked().await.answer();
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}
