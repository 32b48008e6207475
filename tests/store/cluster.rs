//! One slot of a cluster, and what becomes of callers when another node owns it.

use std::time::Duration;

use portcullis::model::Secret;
use portcullis::model::settings::{RedisAddress, RedisNode, RedisSettings};
use portcullis::store::{Followed, StoreError};

use super::log::{goes_on, is_gap};
use super::records::{digest, revoked, session};
use super::redis::works;
use super::sentinel::{another_run, appended};
use super::{HOUR, eventually, now, plus};
use crate::harness::cluster::{Cluster, id, slot};
use crate::harness::redis::{Redis, open};

const PATIENCE: Duration = Duration::from_secs(20);
const HASTE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_killed_owner_is_replaced_by_its_replica() {
    let mut cluster = Cluster::start();
    // Only the owner itself is configured: the others are known from it.
    let node = RedisNode { host: "127.0.0.1".into(), port: cluster.owner().port() };
    let settings = RedisSettings { address: RedisAddress::Cluster(vec![node]), ..cluster.settings() };
    let (store, other) = (open(settings, "pc:", HASTE), open(cluster.settings(), "pc:", HASTE));
    store.sessions.create(&digest(1), &session("s1", "ada", now())).await.unwrap();
    let entry = revoked("a", plus(now(), HOUR));
    let before = appended(&store, &entry).await;
    other.log.follow(&before, Duration::ZERO).await.unwrap();
    cluster.kill_owner();
    let after = another_run(&store, &before).await;
    eventually(async || matches!(other.log.follow(&before, Duration::ZERO).await, Ok(Followed::Gap))).await;
    let replay = other.log.replay(now()).await.unwrap();
    assert_eq!((replay.position.run, replay.entries), (after.run.clone(), vec![entry]));
    assert!(goes_on(&other, &after).await);
    assert!(store.sessions.find(&digest(1), now()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_slot_that_moves_takes_its_callers_along() {
    let cluster = Cluster::start();
    let (store, other) = (cluster.store(), cluster.store());
    store.sessions.create(&digest(1), &session("s1", "ada", now())).await.unwrap();
    let before = store.log.replay(now()).await.unwrap().position;
    other.log.follow(&before, Duration::ZERO).await.unwrap();
    let (from, masters) = (cluster.owner_index(), 0..3);
    let to = masters.clone().find(|node| *node != from).unwrap();
    let (from, to) = (&cluster.nodes[from], &cluster.nodes[to]);
    let (slot, port) = (slot(from).to_string(), to.port().to_string());
    to.command::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
    from.command::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    let keys: Vec<String> = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
    let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
    migrate.extend(keys.iter().map(String::as_str));
    from.command::<()>(&migrate);
    // On its way: not here, which does not mean that it does not exist.
    let session = store.sessions.find(&digest(1), now()).await;
    assert!(matches!(&session, Err(StoreError::Unreachable(text)) if text.contains("ASK")), "{session:?}");
    assert!(matches!(store.log.append(&revoked("a", plus(now(), HOUR))).await, Err(StoreError::Unreachable(_))));
    for node in [to, from] {
        node.command::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
    }
    // Other nodes may not have heard yet.
    eventually(async || match store.sessions.find(&digest(1), now()).await {
        Ok(found) => {
            assert!(found.is_some(), "MOVED does not mean that there is none");
            true
        }
        Err(error) => {
            assert!(error.to_string().contains("MOVED"), "{error}");
            false
        }
    })
    .await;
    let after = store.log.beat().await.unwrap();
    assert_ne!(after.run, before.run);
    assert!(is_gap(&other, &before).await);
    assert!(goes_on(&other, &after).await);
}

#[tokio::test]
async fn each_failover_is_another_run_also_back_and_forth() {
    let cluster = Cluster::start();
    let (store, other) = (cluster.store(), cluster.store());
    let first = cluster.owner_index();
    let mut positions = vec![other.log.replay(now()).await.unwrap().position];
    for replica in [3, first] {
        let last = positions.last().unwrap().clone();
        assert!(goes_on(&other, &last).await);
        let node = &cluster.nodes[replica];
        cluster.fail_over_to(node);
        positions.push(another_run(&store, &last).await);
        for position in &positions[..positions.len() - 1] {
            assert_ne!(position.run, positions.last().unwrap().run);
            eventually(async || matches!(other.log.follow(position, Duration::ZERO).await, Ok(Followed::Gap))).await;
        }
        eventually(async || match other.log.replay(now()).await {
            Ok(replay) => goes_on(&other, &replay.position).await,
            Err(_) => false,
        })
        .await;
    }
}

#[tokio::test]
async fn a_user_with_no_more_than_it_needs_suffices() {
    let acl = "user pc on >canary-5f2c ~{pc:}* resetchannels -@all +@read +@write +@scripting +@connection +info \
               +time +wait +cluster|info +cluster|myid +cluster|slots";
    let cluster = Cluster::start_with(Redis::with().line(acl), 0);
    let password = Some(Secret::new("canary-5f2c".to_owned()));
    let settings = RedisSettings { username: Some("pc".into()), password, ..cluster.settings() };
    works(&open(settings, "pc:", PATIENCE)).await;
    let keys: Vec<String> = cluster.owner().command(&["KEYS", "*"]);
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("{pc:}")), "{keys:?}");
    // A prefix with a hash tag of its own stays.
    works(&open(cluster.settings(), "a{pc:}b:", PATIENCE)).await;
    let keys: Vec<String> = cluster.owner().command(&["KEYS", "a{pc:}b:*"]);
    assert!(keys.len() >= 5, "{keys:?}");
}

#[tokio::test]
async fn what_is_no_cluster_is_told() {
    let redis = Redis::start();
    let node = RedisNode { host: "127.0.0.1".into(), port: redis.port() };
    let settings = RedisSettings { address: RedisAddress::Cluster(vec![node]), ..redis.settings() };
    let error = open(settings, "pc:", PATIENCE).ping().await.unwrap_err();
    assert!(matches!(&error, StoreError::Misconfigured(text) if text.contains("redis://")), "{error:?}");
}
