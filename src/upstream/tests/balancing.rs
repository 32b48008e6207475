//! Which endpoint gets a request.

use super::*;
use crate::model::settings::{Balance, Ejection, EndpointHealth, HashKey, Retries, Statuses};
use crate::upstream::choice::Set;

fn asking(tenant: &'static str) -> Request<http_body_util::Empty<Bytes>> {
    let request = Request::get("/").header("host", "a").header("x-tenant", tenant);
    request.body(http_body_util::Empty::new()).unwrap()
}

#[tokio::test]
async fn the_one_with_fewer_requests_gets_the_next() {
    on_one_thread(async {
        let (a, b) = (Origin::new().await, Origin::new().await);
        let balance = Balance::LeastRequests;
        let upstream = upstream(UpstreamSettings { balance, ..settings(vec![a.endpoint(), b.endpoint()]) });
        let held = forwarding(&upstream, get());
        let (mut busy, other) = tokio::select! {
            wire = a.accept() => (wire, &b),
            wire = b.accept() => (wire, &a),
        };
        busy.head().await;
        let mut wire: Option<Wire> = None;
        for _ in 0..20 {
            let next = forwarding(&upstream, get());
            let mut to = match wire.take() {
                Some(wire) => wire,
                None => other.accept().await,
            };
            to.head().await;
            to.say(OK).await;
            assert_eq!(text(next.await.unwrap().unwrap()).await, "ok");
            wire = Some(to);
        }
        busy.say(OK).await;
        assert_eq!(text(held.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test]
async fn fewer_is_meant_by_weight() {
    on_one_thread(async {
        let (a, b) = (Origin::new().await, Origin::new().await);
        let endpoints = vec![Endpoint { weight: 3, ..a.endpoint() }, b.endpoint()];
        let upstream = upstream(UpstreamSettings { balance: Balance::LeastRequests, ..settings(endpoints) });
        let mut held = Vec::new();
        let mut asked = [0, 0];
        for _ in 0..4 {
            let request = forwarding(&upstream, get());
            let (at, mut wire) = tokio::select! {
                wire = a.accept() => (0, wire),
                wire = b.accept() => (1, wire),
            };
            wire.head().await;
            asked[at] += 1;
            held.push((request, wire));
        }
        assert_eq!(asked, [3, 1]);
    })
    .await;
}

#[tokio::test]
async fn who_could_not_be_reached_a_moment_ago_comes_last() {
    on_one_thread(async {
        let (gone, well) = (Origin::new().await.endpoint(), Origin::new().await);
        let retries = Retries { attempts: 0, budget_percent: 1 };
        let upstream = upstream(UpstreamSettings { retries, ..settings(vec![gone, well.endpoint()]) });
        assert!(forward(&upstream, get()).await.is_err());
        let chosen = turns(&upstream, 3);
        assert!(!upstream.pools()[0].is_avoided() || chosen == [1, 1, 1], "{chosen:?}");
        let mut none_else = Set::of(std::iter::once(0));
        assert!(upstream.chooser.choose(upstream.pools(), &mut none_else, None, &upstream.health).is_some());
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_gets_fewer_turns() {
    on_one_thread(async {
        let (a, b) = (Origin::new().await, Origin::new().await);
        let time = Duration::from_millis(1);
        let (failures, max_percent, statuses) = (1, 100, Statuses::default());
        let ejection = Ejection { failures, base_time: time, max_time: time, max_percent, statuses };
        let slow_start = Some(Duration::from_secs(6000));
        let health = EndpointHealth { ejection: Some(ejection), slow_start, ..EndpointHealth::default() };
        let upstream = upstream(UpstreamSettings { health, ..settings(vec![a.endpoint(), b.endpoint()]) });
        let share = || turns(&upstream, 110).iter().filter(|at| **at == 0).count();
        assert_eq!(share(), 55);
        upstream.health.failed(0, &"no");
        while turns(&upstream, 1) != [0] {
            tokio::task::yield_now().await;
        }
        let share = share();
        assert!((9..=11).contains(&share), "{share}");
    })
    .await;
}

/// Whose turn it is, so many times.
fn turns(upstream: &Shared, count: usize) -> Vec<u32> {
    let chooser = &upstream.chooser;
    let turn = || chooser.choose(upstream.pools(), &mut chooser.all(), None, &upstream.health).map(|(at, _)| at);
    (0..count).filter_map(|_| turn()).collect()
}

#[tokio::test]
async fn a_key_stays_with_its_endpoint_and_moves_when_that_is_gone() {
    on_one_thread(async {
        let origins = [Origin::new().await, Origin::new().await];
        let balance = Balance::Hash(HashKey::Header("x-tenant".parse().unwrap()));
        let endpoints: Vec<_> = origins.iter().map(Origin::endpoint).collect();
        let with = |max_idle| UpstreamSettings { max_idle, balance: balance.clone(), ..settings(endpoints.clone()) };
        let upstream = upstream(with(0));
        let [a, b] = origins;
        let first = forwarding(&upstream, asking("t"));
        let (owner, other) = tokio::select! {
            wire = a.accept() => { let _ = answer(wire).await; (a, b) }
            wire = b.accept() => { let _ = answer(wire).await; (b, a) }
        };
        assert_eq!(text(first.await.unwrap().unwrap()).await, "ok");
        for _ in 0..5 {
            let next = forwarding(&upstream, asking("t"));
            owner.serve().await;
            assert_eq!(text(next.await.unwrap().unwrap()).await, "ok");
        }
        drop(owner);
        let next = forwarding(&upstream, asking("t"));
        other.serve().await;
        assert_eq!(text(next.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}

async fn answer(mut wire: Wire) -> Wire {
    wire.head().await;
    wire.say(OK).await;
    wire
}
