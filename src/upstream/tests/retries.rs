//! What is sent again, and what never is.

use http_body_util::{Empty, Full};
use tokio::net::TcpListener;

use super::*;
use crate::model::denial::Reason;
use crate::model::settings::Retries;

/// A request that is answered, and the connection that is kept after it.
async fn one_kept(origin: &Origin, upstream: &Rc<Shared>) -> Wire {
    let first = forwarding(upstream, get());
    let wire = origin.serve().await;
    assert_eq!(text(first.await.unwrap().unwrap()).await, "ok");
    assert_eq!(upstream.counts(), (1, 1));
    wire
}

fn with_method(method: &str) -> Request<Empty<Bytes>> {
    Request::builder().method(method).uri("/again?x").header("host", "a.example").body(Empty::new()).unwrap()
}

/// An endpoint that nobody listens at.
async fn gone() -> Endpoint {
    Origin(TcpListener::bind("127.0.0.1:0").await.unwrap()).endpoint()
}

#[tokio::test]
async fn a_kept_connection_that_closes_under_a_request_is_nobodys_error() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        on_one_thread(async {
            let origin = Origin::new().await;
            let upstream = upstream(settings(vec![origin.endpoint()]));
            let mut wire = one_kept(&origin, &upstream).await;
            let request = forwarding(&upstream, with_method(method));
            let sent = wire.head().await;
            drop(wire);
            let mut again = origin.accept().await;
            assert_eq!(again.head().await, sent, "the very same request");
            again.say("HTTP/1.1 204 No Content\r\n\r\n").await;
            assert_eq!(request.await.unwrap().unwrap().status(), 204);
        })
        .await;
    }
}

#[tokio::test]
async fn after_one_kept_connection_that_closed_no_other_is_tried() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let both = [forwarding(&upstream, get()), forwarding(&upstream, get())];
        let (mut one, mut two) = (origin.accept().await, origin.accept().await);
        one.head().await;
        two.head().await;
        one.say(OK).await;
        two.say(OK).await;
        for request in both {
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
        }
        assert_eq!(upstream.counts(), (2, 2));
        let request = forwarding(&upstream, get());
        // The other one stays open, and hears nothing.
        let _other = tokio::select! {
            _ = one.head() => { drop(one); two }
            _ = two.head() => { drop(two); one }
        };
        origin.serve().await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn after_a_byte_of_an_answer_nothing_is_sent_again() {
    for begun in ["H", "HTTP/1.1 200 OK\r\ncontent-le"] {
        on_one_thread(async {
            let origin = Origin::new().await;
            let upstream = upstream(settings(vec![origin.endpoint()]));
            let mut wire = one_kept(&origin, &upstream).await;
            let request = forwarding(&upstream, get());
            wire.head().await;
            wire.say(begun).await;
            drop(wire);
            assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
        })
        .await;
    }
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_not_sent_again() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let body = |method: &str| {
            Request::builder().method(method).uri("/").header("host", "a").body(Full::new(Bytes::from("x"))).unwrap()
        };
        for request in [with_method("POST").map(|_| Full::default()), body("POST"), body("PUT")] {
            let mut wire = one_kept(&origin, &upstream).await;
            let request = forwarding(&upstream, request);
            wire.head().await;
            drop(wire);
            assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_connection_that_ends_without_an_answer_is_a_failure_and_so_is_the_second_of_a_request() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let upstream = upstream(settings(vec![origin.endpoint()]));
        let request = forwarding(&upstream, get());
        origin.accept().await.head().await;
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);

        let mut wire = one_kept(&origin, &upstream).await;
        let request = forwarding(&upstream, get());
        wire.head().await;
        drop(wire);
        origin.accept().await.head().await;
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
    })
    .await;
}

#[tokio::test]
async fn without_attempts_nothing_is_sent_again() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let retries = Retries { attempts: 0, ..Retries::default() };
        let upstream = upstream(UpstreamSettings { retries, ..settings(vec![origin.endpoint()]) });
        let mut wire = one_kept(&origin, &upstream).await;
        let request = forwarding(&upstream, get());
        wire.head().await;
        drop(wire);
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);
    })
    .await;
}

#[tokio::test]
async fn another_endpoint_is_tried_as_often_as_attempts_and_the_budget_say() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let endpoints = vec![gone().await, gone().await, origin.endpoint()];
        let with = |attempts| {
            let retries = Retries { attempts, budget_percent: 1 };
            upstream(UpstreamSettings { retries, ..settings(endpoints.clone()) })
        };
        for attempts in [0, 1] {
            let denial = forward(&with(attempts), get()).await.unwrap_err();
            assert_eq!(denial.reason, Reason::UpstreamUnreachable);
        }
        let request = forwarding(&with(2), get());
        origin.serve().await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");

        let spent = with(2);
        while spent.budget().spend(tokio::time::Instant::now()) {}
        assert_eq!(forward(&spent, get()).await.unwrap_err().reason, Reason::UpstreamUnreachable);
    })
    .await;
}

#[tokio::test]
async fn all_tries_together_have_a_time() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let mut settings = settings(vec![origin.endpoint()]);
        settings.timeouts.total = Some(Duration::from_millis(20));
        let upstream = upstream(settings);
        let request = forwarding(&upstream, get());
        let wire = origin.accept().await;
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamTimeout);
        wire.closed().await;

        let (_sender, body) = bodies::channel();
        let request = forwarding(&upstream, Request::post("/").header("host", "a").body(body).unwrap());
        let wire = origin.accept().await;
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::BodyIncomplete);
        wire.closed().await;
    })
    .await;
}
