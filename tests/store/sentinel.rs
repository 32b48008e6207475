//! The master that sentinels name, and what becomes of callers when it is another one.

use std::time::Duration;

use portcullis::model::settings::{RedisAddress, RedisSettings, RedisTls, SentinelSettings};
use portcullis::model::{LogEntry, Secret};
use portcullis::store::{Followed, Position, Store, StoreError};
use tokio::time::timeout;

use super::log::goes_on;
use super::records::{digest, revoked, session};
use super::{HOUR, eventually, now, plus};
use crate::harness::certificates::Authority;
use crate::harness::redis::{Redis, open, until};
use crate::harness::sentinel::Sentinels;

const PATIENCE: Duration = Duration::from_secs(20);
const HASTE: Duration = Duration::from_secs(1);

/// Waits until calls succeed again over a master that is another one, or has another life; its position.
pub async fn another_run(store: &Store, than: &Position) -> Position {
    let mut found = than.clone();
    eventually(async || {
        if let Ok(beat) = store.log.beat().await {
            found = beat;
        }
        found.run != than.run
    })
    .await;
    found
}

/// Appends, if need be again: on a busy machine a replica may take longer to confirm than this store waits.
pub async fn appended(store: &Store, entry: &LogEntry) -> Position {
    let mut position = None;
    eventually(async || {
        position = store.log.append(entry).await.ok();
        position.is_some()
    })
    .await;
    position.expect("it was appended")
}

#[tokio::test]
async fn a_killed_master_is_replaced() {
    let mut fleet = Sentinels::start();
    let store = open(fleet.settings(), "pc:", HASTE);
    let other = store.handle();
    let entry = revoked("a", plus(now(), HOUR));
    store.sessions.create(&digest(1), &session("s1", "ada", now())).await.unwrap();
    let before = appended(&store, &entry).await;
    other.log.follow(&before, Duration::ZERO).await.unwrap();
    fleet.kill_master();
    let after = another_run(&store, &before).await;
    // A position of the old master is worth nothing on the new one, and both connections lead there.
    eventually(async || matches!(other.log.follow(&before, Duration::ZERO).await, Ok(Followed::Gap))).await;
    let replay = other.log.replay(now()).await.unwrap();
    assert_eq!((replay.position.run, replay.entries), (after.run.clone(), vec![entry]));
    assert!(goes_on(&other, &after).await);
    assert!(store.sessions.find(&digest(1), now()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_revocation_that_a_failover_lost_can_be_written_back() {
    let mut fleet = Sentinels::start();
    let (store, other) = (open(fleet.settings(), "pc:", HASTE), open(fleet.settings(), "pc:", HASTE));
    let before = appended(&store, &revoked("kept", plus(now(), HOUR))).await;
    let lost = revoked("lost", plus(now(), HOUR));
    fleet.servers[1].freeze();
    fleet.servers[2].freeze();
    let master = &fleet.servers[0];
    master.command::<()>(&["CLIENT", "KILL", "TYPE", "replica"]);
    until("it is alone", || master.command::<String>(&["INFO", "replication"]).contains("connected_slaves:0"));
    let acknowledged = store.log.append(&lost).await.unwrap();
    assert_eq!(acknowledged.run, before.run);
    fleet.kill_master();
    fleet.servers[1].thaw();
    fleet.servers[2].thaw();
    another_run(&other, &before).await;
    eventually(async || matches!(other.log.follow(&acknowledged, Duration::ZERO).await, Ok(Followed::Gap))).await;
    let live = other.log.replay(now()).await.unwrap().entries;
    assert_eq!(live.len(), 1, "it was lost: {live:?}");
    eventually(async || other.log.append(&lost).await.is_ok()).await;
    assert!(store.log.replay(now()).await.unwrap().entries.contains(&lost));
}

#[tokio::test]
async fn each_failover_is_another_run_also_back_and_forth() {
    let fleet = Sentinels::with().replicas(1).sentinels(1).start();
    let (store, other) = (fleet.store(), fleet.store());
    let mut positions = vec![other.log.replay(now()).await.unwrap().position];
    for _ in 0..2 {
        let last = positions.last().unwrap().clone();
        assert!(goes_on(&other, &last).await);
        fleet.failover();
        fleet.settle();
        positions.push(another_run(&store, &last).await);
        for position in &positions[..positions.len() - 1] {
            assert_ne!(position.run, positions.last().unwrap().run);
            eventually(async || matches!(other.log.follow(position, Duration::ZERO).await, Ok(Followed::Gap))).await;
        }
        // What is read after a gap can be followed.
        eventually(async || match other.log.replay(now()).await {
            Ok(replay) => goes_on(&other, &replay.position).await,
            Err(_) => false,
        })
        .await;
    }
    assert_eq!(fleet.master().port(), fleet.servers[0].port(), "there and back");
}

/// It is cut off from the sentinels, and not from us: nothing fails, and all that it says is worthless.
#[tokio::test]
async fn a_master_that_does_not_know_that_it_was_deposed_is_left() {
    let deaf = ["rename-command REPLICAOF ''", "rename-command SLAVEOF ''"];
    let fleet = deaf.iter().fold(Sentinels::with(), |with, line| with.first_master(line)).sentinels(1).start();
    let store = fleet.store();
    let (other, reader) = (store.handle(), store.handle());
    let before = store.log.replay(now()).await.unwrap().position;
    let waits = async { other.log.follow(&before, Duration::from_secs(600)).await };
    let ((), gap) = tokio::join!(
        async {
            let old = &fleet.servers[0];
            let blocked = async || old.command::<String>(&["INFO", "clients"]).contains("blocked_clients:1");
            eventually(blocked).await;
            fleet.failover();
            assert!(old.command::<String>(&["INFO", "replication"]).contains("role:master"));
        },
        timeout(Duration::from_secs(60), waits)
    );
    assert!(matches!(gap, Ok(Ok(Followed::Gap))), "{gap:?}");
    // Whoever waited has moved, and so have the connections that were in use.
    let after = store.log.beat().await.unwrap();
    assert_ne!(after.run, before.run);
    assert_eq!(reader.log.replay(now()).await.unwrap().position.run, after.run);
    assert_eq!(fleet.servers[0].command::<u64>(&["XLEN", "pc:log"]), 1, "nothing more was written there");
}

#[tokio::test]
async fn a_master_that_hangs_is_replaced_and_nobody_waits_for_it() {
    let fleet = Sentinels::start();
    let limit = Duration::from_millis(300);
    let store = open(fleet.settings(), "pc:", limit);
    let before = store.log.replay(now()).await;
    eventually(async || store.log.replay(now()).await.is_ok()).await;
    drop(before);
    let before = store.log.replay(now()).await.unwrap().position;
    let old = fleet.master();
    old.freeze();
    let again = async {
        loop {
            let call = timeout(10 * limit, store.log.beat()).await.expect("a call ends by itself");
            match call {
                Ok(beat) if beat.run != before.run => break,
                // Rather few than all that a second has room for.
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    timeout(Duration::from_secs(60), again).await.expect("calls succeed again");
    old.thaw();
    // It comes back as a replica, and nobody goes there.
    until("it is a replica", || old.command::<String>(&["INFO", "replication"]).contains("role:slave"));
    assert!(store.log.append(&revoked("a", plus(now(), HOUR))).await.is_ok());
}

#[tokio::test]
async fn sentinels_may_come_later_and_one_of_them_may_hang() {
    let mut fleet = Sentinels::with().prepare();
    let store = fleet.store();
    assert!(matches!(store.ping().await, Err(StoreError::Unreachable(_))));
    fleet.start_sentinels();
    eventually(async || store.ping().await.is_ok()).await;
    fleet.sentinels[0].freeze();
    let another = open(fleet.settings(), "pc:", Duration::from_millis(900));
    eventually(async || another.ping().await.is_ok()).await;
    fleet.sentinels[0].thaw();
}

#[tokio::test]
async fn what_is_called_the_master_must_be_one() {
    let fleet = Sentinels::with().replicas(0).sentinels(1).start();
    let store = fleet.store();
    fleet.master().command::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = store.ping().await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("replica")), "{error:?}");
    fleet.master().command::<()>(&["REPLICAOF", "NO", "ONE"]);
    eventually(async || store.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_is_told() {
    let fleet = Sentinels::with().replicas(0).sentinels(1).start();
    let RedisAddress::Sentinel(asked) = fleet.settings().address else { unreachable!() };
    let address = RedisAddress::Sentinel(SentinelSettings { master: "other".into(), ..asked });
    let store = open(RedisSettings { address, ..fleet.settings() }, "pc:", PATIENCE);
    let error = store.ping().await.unwrap_err();
    assert!(matches!(&error, StoreError::Misconfigured(text) if text.contains("`other`")), "{error:?}");
}

#[tokio::test]
async fn a_user_who_may_not_know_the_server_is_refused() {
    let acl = "user pc on nopass ~pc:* resetchannels -@all +@read +@write +@scripting +@connection +time +wait";
    let fleet = Sentinels::with().server(|with| with.line(acl)).replicas(0).sentinels(1).start();
    let settings = RedisSettings { username: Some("pc".into()), ..fleet.settings() };
    let error = open(settings, "pc:", PATIENCE).log.beat().await.unwrap_err();
    assert!(matches!(&error, StoreError::Misconfigured(text) if text.contains("+info")), "{error:?}");
}

#[tokio::test]
async fn it_is_reached_over_tls_with_users_of_servers_and_sentinels() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new(folder.path()).server("server", &["127.0.0.1"]);
    let server = "user pc on >canary-5f2c ~pc:* resetchannels -@all +@read +@write +@scripting +@connection +info \
                  +time +wait";
    let sentinel = "user asks on >canary-77aa resetchannels -@all +@connection +sentinel|master \
                    +sentinel|get-master-addr-by-name +sentinel|sentinels";
    let fleet = Sentinels::with()
        .server(|with| with.tls_from(folder.path()).line(server))
        .sentinel(|with| with.tls_from(folder.path()).line(sentinel))
        .replicas(1)
        .sentinels(1)
        .start();
    let RedisAddress::Sentinel(asked) = fleet.settings().address else { unreachable!() };
    let tls = RedisTls { ca: Some(folder.path().join("ca.pem")), certificate: None };
    let settings = |password: &str, tls: &RedisTls| RedisSettings {
        address: RedisAddress::Sentinel(SentinelSettings {
            username: Some("asks".into()),
            password: Some(Secret::new(password.into())),
            ..asked.clone()
        }),
        tls: Some(tls.clone()),
        database: 0,
        username: Some("pc".into()),
        password: Some(Secret::new("canary-5f2c".into())),
    };
    super::redis::works(&open(settings("canary-77aa", &tls), "pc:", PATIENCE)).await;
    let error = open(settings("canary-wrong", &tls), "pc:", PATIENCE).ping().await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)) && !format!("{error:?}").contains("canary"), "{error:?}");
    let other = Redis::with().tls().prepare();
    let distrustful = RedisTls { ca: Some(other.ca()), certificate: None };
    let error = open(settings("canary-77aa", &distrustful), "pc:", PATIENCE).ping().await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}
