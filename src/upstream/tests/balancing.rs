//! Which endpoint gets a request.

use super::*;
use crate::model::settings::{Balance, HashKey};

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
