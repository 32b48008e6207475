//! Redis is gone, hangs, or comes back.

use std::time::Duration;

use portcullis::model::settings::{RedisAddress, RedisNode, RedisSettings};
use portcullis::store::{Followed, StoreError};
use tokio::time::timeout;

use super::records::{digest, revoked, session};
use super::{HOUR, eventually, now, plus};
use crate::harness::redis::{Redis, open};
use crate::harness::relay::Relay;

#[tokio::test]
async fn a_store_opens_without_redis_and_works_once_it_is_there() {
    let mut redis = Redis::with().prepare();
    let store = redis.store();
    assert!(matches!(store.ping().await, Err(StoreError::Unreachable(_))));
    assert!(matches!(store.sessions.find(&digest(1), now()).await, Err(StoreError::Unreachable(_))));
    let position = portcullis::store::Position { run: "x".into(), id: (0, 0) };
    assert!(matches!(store.log.follow(&position, Duration::from_secs(60)).await, Err(StoreError::Unreachable(_))));
    redis.restart();
    eventually(async || store.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_store_works_again_after_a_restart() {
    let mut redis = Redis::start();
    let store = redis.store();
    store.sessions.create(&digest(1), &session("s1", "ada", now())).await.unwrap();
    redis.kill();
    assert!(store.sessions.find(&digest(1), now()).await.is_err());
    assert!(store.sessions.touch(&digest(1), now()).await.is_err());
    redis.restart();
    eventually(async || store.sessions.find(&digest(1), now()).await.is_ok()).await;
    // Scripts are gone with the old process.
    assert!(!store.sessions.touch(&digest(1), now()).await.unwrap());
}

#[tokio::test]
async fn a_connection_that_was_closed_is_made_anew_within_the_call() {
    let redis = Redis::start();
    let store = redis.store();
    let start = store.log.replay(now()).await.unwrap().position;
    for _ in 0..5 {
        redis.command::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert_eq!(store.sessions.find(&digest(1), now()).await.unwrap(), None);
        assert!(matches!(store.log.follow(&start, Duration::ZERO).await.unwrap(), Followed::Entries { .. }));
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_waited_for_once_and_then_spared() {
    let redis = Redis::start();
    let store = open(redis.settings(), "pc:", Duration::from_millis(300));
    eventually(async || store.ping().await.is_ok()).await;
    redis.freeze();
    assert!(matches!(store.sessions.find(&digest(1), now()).await, Err(StoreError::Timeout(_))));
    let many = async {
        for _ in 0..1000 {
            assert!(store.sessions.find(&digest(1), now()).await.is_err());
        }
    };
    // Each waiting for its timeout would take ten times as long.
    timeout(Duration::from_secs(30), many).await.expect("calls fail at once");
    redis.thaw();
    eventually(async || store.sessions.find(&digest(1), now()).await.is_ok()).await;
}

#[tokio::test]
async fn a_partition_ends_calls_in_time_and_is_over_when_it_heals() {
    let redis = Redis::start();
    let relay = Relay::to(([127, 0, 0, 1], redis.port()).into());
    let address = RedisAddress::Server(RedisNode { host: "127.0.0.1".into(), port: relay.address().port() });
    let settings = RedisSettings { address, ..redis.settings() };
    let store = open(settings, "pc:", Duration::from_millis(300));
    eventually(async || store.ping().await.is_ok()).await;
    relay.cut();
    assert!(matches!(store.sessions.find(&digest(1), now()).await, Err(StoreError::Timeout(_))));
    assert!(store.log.beat().await.is_err());
    relay.heal();
    eventually(async || store.sessions.find(&digest(1), now()).await.is_ok()).await;
}

#[tokio::test]
async fn f34_a_revocation_that_redis_does_not_have_fails() {
    let mut redis = Redis::start();
    let store = redis.store();
    store.sessions.create(&digest(1), &session("s1", "ada", now())).await.unwrap();
    redis.kill();
    assert!(store.revoke_session("s1", now()).await.is_err());
    assert!(store.revoke_api_key("k1", now()).await.is_err());
    assert!(store.log.append(&revoked("a", plus(now(), HOUR))).await.is_err());
}

#[tokio::test]
async fn following_holds_up_nobody_else_on_the_same_handle() {
    let redis = Redis::start();
    let store = redis.store();
    let start = store.log.replay(now()).await.unwrap().position;
    let entry = revoked("a", plus(now(), HOUR));
    let wait = Duration::from_secs(600);
    let both = async { tokio::join!(store.log.follow(&start, wait), store.log.follow(&start, wait)) };
    let (followed, ()) = tokio::join!(both, async {
        eventually(async || redis.command::<String>(&["INFO", "clients"]).contains("blocked_clients:2")).await;
        assert_eq!(store.sessions.find(&digest(1), now()).await.unwrap(), None);
        store.log.append(&entry).await.unwrap();
    });
    for followed in [followed.0, followed.1] {
        let Ok(Followed::Entries { entries, .. }) = followed else { panic!("{followed:?}") };
        assert_eq!(entries, std::slice::from_ref(&entry));
    }
}

#[tokio::test]
async fn a_follower_who_leaves_leaves_nothing_blocked() {
    let redis = Redis::start();
    let store = redis.store();
    let start = store.log.replay(now()).await.unwrap().position;
    let blocked =
        async |n: u32| redis.command::<String>(&["INFO", "clients"]).contains(&format!("blocked_clients:{n}\r"));
    tokio::select! {
        _ = store.log.follow(&start, Duration::from_secs(600)) => panic!("nothing was announced"),
        () = eventually(async || blocked(1).await) => {}
    }
    eventually(async || blocked(0).await).await;
    store.log.beat().await.unwrap();
    assert!(matches!(store.log.follow(&start, Duration::from_secs(60)).await, Ok(Followed::Entries { .. })));
}

#[tokio::test]
async fn a_handle_that_is_dropped_closes_its_connections() {
    let redis = Redis::start();
    let store = redis.store();
    let other = store.handle();
    let start = other.log.replay(now()).await.unwrap().position;
    other.log.follow(&start, Duration::ZERO).await.unwrap();
    store.ping().await.unwrap();
    let clients = async || redis.command::<String>(&["CLIENT", "LIST"]).lines().count() - 1;
    assert_eq!(clients().await, 3);
    drop(other);
    eventually(async || clients().await == 1).await;
}
