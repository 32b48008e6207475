//! What goes wrong, and what the log is told of it.

use super::*;
use crate::model::denial::Reason;

async fn answered(answer: &str) -> Result<String, Denial> {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let request = forwarding(&upstream, get());
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.say(answer).await;
        drop(wire);
        match request.await.unwrap() {
            Ok(response) => Ok(text(response).await),
            Err(denial) => {
                assert!(denial.detail.as_deref().unwrap().contains(&origin.endpoint().authority()), "{denial}");
                Err(denial)
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_is_no_http_is_a_failure_of_the_upstream() {
    for answer in [
        "",
        "garbage\r\n\r\n",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(answered(answer).await.unwrap_err().reason, Reason::UpstreamFailed, "{answer}");
    }
}

#[tokio::test]
async fn a_silent_upstream_is_not_waited_for_longer_than_configured() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let mut settings = settings(vec![origin.endpoint()]);
        settings.timeouts.response = Duration::from_millis(20);
        let upstream = upstream(settings);
        let request = forwarding(&upstream, get());
        let mut wire = origin.accept().await;
        wire.head().await;
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamTimeout);
        wire.closed().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_go_on_is_not_the_upstreams_fault() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let mut settings = settings(vec![origin.endpoint()]);
        settings.timeouts.response = Duration::from_millis(20);
        let upstream = upstream(settings);
        let (_sender, body) = bodies::channel();
        let request = forwarding(&upstream, Request::post("/").header("host", "a").body(body).unwrap());
        let wire = origin.accept().await;
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::BodyIncomplete);
        wire.closed().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_breaks_off_takes_the_upstreams_connection_along() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let (sender, body) = bodies::channel();
        let request = forwarding(&upstream, Request::post("/").header("host", "a").body(body).unwrap());
        let mut wire = origin.accept().await;
        wire.head().await;
        sender.send(Err("gone".into())).unwrap();
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::BodyIncomplete);
        wire.closed().await;
        assert_eq!(upstream.counts(), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_given_up_closes_its_connection() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let request = forwarding(&upstream, get());
        let mut wire = origin.accept().await;
        wire.head().await;
        request.abort();
        wire.closed().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_given_up_closes_its_connection() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let request = forwarding(&upstream, get());
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok").await;
        drop(request.await.unwrap().unwrap());
        wire.closed().await;
        assert_eq!(upstream.counts(), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_not_an_end() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
    ] {
        on_one_thread(async {
            let origin = Origin::new().await;
            let upstream = upstream(settings(vec![origin.endpoint()]));
            let request = forwarding(&upstream, get());
            let mut wire = origin.accept().await;
            wire.head().await;
            wire.say(answer).await;
            drop(wire);
            assert!(request.await.unwrap().unwrap().into_body().collect().await.is_err(), "{answer}");
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    on_one_thread(async {
        let gone = Origin::new().await.endpoint();
        let denial = forward(&upstream(settings(vec![gone.clone(), gone])), get()).await.unwrap_err();
        assert_eq!(denial.reason, Reason::UpstreamUnreachable);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_does_not_open_in_time_is_a_timeout() {
    on_one_thread(async {
        // It accepts, by its backlog, and then says nothing of TLS.
        let origin = Origin::new().await;
        let certificate = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), certificate.cert.pem()).unwrap();
        let mut settings = settings(vec![Endpoint { scheme: Scheme::Https, ..origin.endpoint() }]);
        settings.tls.ca = Some(ca.path().to_owned());
        settings.timeouts.connect = Duration::from_millis(20);
        assert_eq!(forward(&upstream(settings), get()).await.unwrap_err().reason, Reason::UpstreamTimeout);
    })
    .await;
}

#[tokio::test]
async fn when_all_connections_are_in_use_the_answer_is_busy() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(UpstreamSettings { max_connections: 1, ..settings(vec![origin.endpoint()]) });
        let first = forwarding(&upstream, get());
        let wire = origin.serve().await;
        let first = first.await.unwrap().unwrap();
        let denial = forward(&upstream, get()).await.unwrap_err();
        assert_eq!(denial.reason, Reason::UpstreamBusy);
        assert!(denial.retry_after.is_some());

        assert_eq!(text(first).await, "ok");
        let third = forwarding(&upstream, get());
        let mut wire = wire;
        wire.head().await;
        wire.say(OK).await;
        assert_eq!(text(third.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}
