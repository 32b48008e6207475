//! Endpoints that are not well get no requests.

use super::*;
use crate::model::denial::Reason;
use crate::model::settings::{Ejection, EndpointHealth, HealthCheck, Retries, Statuses};

fn ejection(failures: u32, statuses: Statuses) -> EndpointHealth {
    let (base_time, max_time) = (Duration::from_secs(600), Duration::from_secs(600));
    let ejection = Ejection { failures, base_time, max_time, max_percent: 100, statuses };
    EndpointHealth { ejection: Some(ejection), panic_below: 0, ..EndpointHealth::default() }
}

fn with(health: EndpointHealth, origins: &[&Origin]) -> UpstreamSettings {
    let endpoints = origins.iter().map(|origin| origin.endpoint()).collect();
    UpstreamSettings { health, retries: Retries { attempts: 0, budget_percent: 1 }, ..settings(endpoints) }
}

/// Whom the next request goes to, and what becomes of it when it is answered so.
async fn next(
    upstream: &Rc<Shared>,
    origins: [&Origin; 2],
    answer: &str,
) -> (usize, Result<Response<ResponseBody>, Denial>) {
    let request = forwarding(upstream, get());
    let (at, mut wire) = tokio::select! {
        wire = origins[0].accept() => (0, wire),
        wire = origins[1].accept() => (1, wire),
    };
    wire.head().await;
    wire.say(answer).await;
    drop(wire);
    (at, request.await.unwrap())
}

#[tokio::test]
async fn an_endpoint_that_fails_requests_is_left_alone() {
    for (bad, statuses) in [
        ("no HTTP\r\n\r\n", Statuses::default()),
        ("", Statuses::default()),
        ("HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", Statuses(vec![503..=503])),
    ] {
        on_one_thread(async {
            let (a, b) = (Origin::new().await, Origin::new().await);
            let upstream = upstream(UpstreamSettings { max_idle: 0, ..with(ejection(2, statuses), &[&a, &b]) });
            let mut asked = Vec::new();
            for _ in 0..8 {
                // The first is broken, the other is well.
                let request = forwarding(&upstream, get());
                let (at, answer, mut wire) = tokio::select! {
                    wire = a.accept() => (0, bad, wire),
                    wire = b.accept() => (1, OK, wire),
                };
                wire.head().await;
                wire.say(answer).await;
                drop(wire);
                if let Ok(answer) = request.await.unwrap() {
                    let _ = answer.into_body().collect().await;
                }
                asked.push(at);
            }
            assert_eq!(asked, [0, 1, 0, 1, 1, 1, 1, 1], "{bad}");
        })
        .await;
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_or_does_not_answer_is_left_alone() {
    on_one_thread(async {
        let gone = Origin::new().await.endpoint();
        let mut settings = with(ejection(1, Statuses::default()), &[]);
        settings.endpoints = vec![gone];
        let upstream_of_one = upstream(settings);
        assert_eq!(forward(&upstream_of_one, get()).await.unwrap_err().reason, Reason::UpstreamUnreachable);
        let denial = forward(&upstream_of_one, get()).await.unwrap_err();
        assert_eq!(denial.reason, Reason::UpstreamUnhealthy);
        assert!(denial.retry_after.is_some());

        let slow = Origin::new().await;
        for (response, total) in [(20, None), (60_000, Some(20))] {
            let mut settings = with(ejection(1, Statuses::default()), &[&slow]);
            settings.timeouts.response = Duration::from_millis(response);
            settings.timeouts.total = total.map(Duration::from_millis);
            let upstream = upstream(settings);
            assert_eq!(forward(&upstream, get()).await.unwrap_err().reason, Reason::UpstreamTimeout);
            assert_eq!(forward(&upstream, get()).await.unwrap_err().reason, Reason::UpstreamUnhealthy);
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_several_wait_for_and_does_not_come_about_is_one_failure() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let mut settings = with(ejection(2, Statuses::default()), &[]);
        settings.endpoints = vec![Endpoint { scheme: Scheme::H2c, ..origin.endpoint() }];
        let upstream = upstream(settings);
        for requests in [5, 1] {
            let requests: Vec<_> = (0..requests).map(|_| forwarding(&upstream, get())).collect();
            let mut wire = origin.accept().await;
            wire.expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
            drop(wire);
            for request in requests {
                assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamUnreachable);
            }
        }
        assert_eq!(forward(&upstream, get()).await.unwrap_err().reason, Reason::UpstreamUnhealthy, "two were enough");
    })
    .await;
}

#[tokio::test]
async fn what_an_endpoint_does_not_offer_is_no_failure_of_it() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let mut settings = with(ejection(1, Statuses::default()), &[]);
        settings.endpoints = vec![Endpoint { scheme: Scheme::H2c, ..origin.endpoint() }];
        let upstream = upstream(settings);
        let mut switching = get();
        switching.headers_mut().insert("upgrade", "websocket".parse().unwrap());
        for _ in 0..2 {
            let denial = forward(&upstream, switching.clone()).await.unwrap_err();
            assert_eq!(denial.reason, Reason::UpstreamFailed);
        }
    })
    .await;
}

#[tokio::test]
async fn the_shorter_time_counts_and_blames_only_who_had_all_of_the_upstreams_own() {
    on_one_thread(async {
        let (slow, gone) = (Origin::new().await, Origin::new().await.endpoint());
        let reasons = async |upstream: &Shared, within| {
            let within = Some(Duration::from_millis(within));
            let mut reasons = Vec::new();
            for _ in 0..2 {
                reasons.push(forward_within(upstream, get(), within).await.unwrap_err().reason);
            }
            reasons
        };
        let with_total = |total| {
            let mut settings = with(ejection(1, Statuses::default()), &[&slow]);
            settings.timeouts.total = Some(Duration::from_millis(total));
            settings
        };
        let route = upstream(with_total(50_000));
        assert_eq!(reasons(&route, 50).await, [Reason::UpstreamTimeout; 2], "a route that waits for less");
        let own = upstream(with_total(50));
        assert_eq!(reasons(&own, 50_000).await, [Reason::UpstreamTimeout, Reason::UpstreamUnhealthy]);

        let mut two = with_total(500);
        two.endpoints.insert(0, gone);
        two.retries = Retries { attempts: 1, budget_percent: 1 };
        let two = upstream(two);
        let first = reasons(&two, 50_000).await;
        assert_eq!(first, [Reason::UpstreamTimeout; 2], "part of the time went to the one that is gone");
        assert_eq!(forward(&two, get()).await.unwrap_err().reason, Reason::UpstreamUnhealthy);
    })
    .await;
}

#[tokio::test]
async fn clients_that_break_off_and_kept_connections_that_close_count_against_nobody() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let mut settings = with(ejection(1, Statuses::default()), &[&origin]);
        settings.timeouts.total = Some(Duration::from_millis(200));
        let upstream = upstream(settings);
        let (sender, body) = bodies::channel();
        let request = forwarding(&upstream, Request::post("/").header("host", "a").body(body).unwrap());
        let mut wire = origin.accept().await;
        wire.head().await;
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::BodyIncomplete);
        drop(sender);
        wire.closed().await;

        let (sender, body) = bodies::channel();
        let request = forwarding(&upstream, Request::post("/").header("host", "a").body(body).unwrap());
        let mut wire = origin.accept().await;
        wire.head().await;
        sender.send(Err("gone".into())).unwrap();
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::BodyIncomplete);
        wire.closed().await;

        let first = forwarding(&upstream, get());
        let mut wire = origin.serve().await;
        assert_eq!(text(first.await.unwrap().unwrap()).await, "ok");
        let request = forwarding(&upstream, get().map(|_| http_body_util::Full::new(Bytes::from("x"))));
        wire.head().await;
        drop(wire);
        assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamFailed);

        let last = forwarding(&upstream, get());
        origin.serve().await;
        assert_eq!(text(last.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn what_checks_find_decides_who_gets_requests() {
    on_one_thread(async {
        let (a, b) = (Origin::new().await, Origin::new().await);
        let check = HealthCheck {
            path: "/healthz".into(),
            host: None,
            interval: Duration::from_secs(600),
            jitter: 0,
            timeout: Duration::from_secs(20),
            healthy: 1,
            unhealthy: 1,
            pass: Statuses(vec![200..=200]),
        };
        let health = EndpointHealth { check: Some(check), ..EndpointHealth::default() };
        let settings = Arc::new(UpstreamSettings { max_idle: 0, ..with(health, &[&a, &b]) });
        let conditions = Conditions::new(std::slice::from_ref(&settings));
        let upstream = Rc::new(Shared(Upstream::new(&settings, conditions.of(&settings), None).unwrap()));
        let checker = Checker::new(&conditions, Arc::new(crate::model::SystemEntropy)).unwrap();
        let checks = tokio::task::spawn_local(async move { checker.run().await });
        for (origin, status) in [(&a, 500), (&b, 200)] {
            let mut wire = origin.accept().await;
            assert!(wire.head().await.starts_with("GET /healthz "));
            wire.say(&format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await;
            wire.closed().await;
        }
        for _ in 0..4 {
            let (at, answer) = next(&upstream, [&a, &b], OK).await;
            assert_eq!((at, text(answer.unwrap()).await.as_str()), (1, "ok"));
        }
        checks.abort();
    })
    .await;
}
