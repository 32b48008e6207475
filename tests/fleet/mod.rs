//! Three processes that share one Redis: what is revoked is refused by all of them, whatever happens to the store.
//!
//! How soon is measured by `cargo bench --bench fleet`; here is what must hold at any speed.

use std::time::{Duration, Instant};

use portcullis::store::Store;

use crate::harness::fleet::{Credential, Credentials, Fleet, Instance, Kind, Watch};
use crate::harness::http::get;
use crate::harness::portcullis::block_on;
use crate::harness::redis::Redis;
use crate::harness::relay::Relay;
use crate::harness::sentinel::Sentinels;

const PAUSE: Duration = Duration::from_millis(5);

fn one_of_each(fleet: &mut Fleet, store: &Store) -> Vec<Credential> {
    block_on(async {
        let mut maker = Credentials::new(fleet, store.clone());
        let mut made = Vec::new();
        for kind in Kind::ALL {
            made.push(maker.make(kind).await.expect("the store takes it"));
        }
        made
    })
}

fn watch<'a>(credentials: &'a [Credential], instances: &[&Instance]) -> Vec<(&'a Credential, Watch)> {
    credentials.iter().map(|credential| (credential, Watch::start(credential, instances, PAUSE))).collect()
}

/// Each instance keeps refusing for so many requests more.
fn stays_refused(watch: &Watch, credential: &Credential) {
    let seen = watch.refused_everywhere(1);
    let so_far: Vec<_> = seen.iter().map(|seen| seen.requests).collect();
    let seen = watch.until("asked more", |seen| seen.iter().zip(&so_far).all(|(now, then)| now.requests > then + 20));
    for (number, seen) in seen.iter().enumerate() {
        assert!(seen.refused > 20, "{:?} on instance {number}: {seen:?}", credential.kind);
    }
}

#[test]
fn what_is_revoked_is_refused_by_every_instance() {
    let redis = Redis::start();
    let mut fleet = Fleet::new("30s");
    let instances = ["one", "two", "three"].map(|name| fleet.start(name, &redis.url()));
    let store = redis.store();
    let credentials = one_of_each(&mut fleet, &store);
    let others = one_of_each(&mut fleet, &store);
    let (watched, others) = (watch(&credentials, &instances.each_ref()), watch(&others, &instances.each_ref()));
    for (_, watch) in watched.iter().chain(&others) {
        watch.accepted_everywhere();
    }
    for (credential, watch) in &watched {
        block_on(credential.revoke(&store)).expect("the store has it");
        stays_refused(watch, credential);
    }
    for (credential, watch) in &others {
        assert!(watch.seen().iter().all(|seen| seen.refused == 0), "{:?} of somebody else", credential.kind);
    }
}

#[test]
fn an_instance_that_was_away_refuses_from_its_first_answer() {
    let redis = Redis::start();
    let mut fleet = Fleet::new("30s");
    let store = redis.store();
    let credentials = one_of_each(&mut fleet, &store);
    let one = fleet.start("one", &redis.url());
    for (_, watch) in watch(&credentials, &[&one]) {
        watch.accepted_everywhere();
    }
    drop(one);
    for credential in &credentials {
        block_on(credential.revoke(&store)).expect("the store has it");
    }
    // Asked from before it is ready.
    let one = fleet.begin("one", &redis.url());
    let watched = watch(&credentials, &[&one]);
    let one = one.ready();
    for (credential, watch) in &watched {
        stays_refused(watch, credential);
        assert!(watch.seen()[0].accepted.is_none(), "{:?}", credential.kind);
    }
    drop(one);
}

#[test]
fn revocations_outlive_a_redis_that_is_killed_and_comes_back_with_its_data() {
    let mut redis = Redis::with().line("appendonly yes").line("appendfsync always").start();
    let mut fleet = Fleet::new("30s");
    let instances = ["one", "two"].map(|name| fleet.start(name, &redis.url()));
    let store = redis.store();
    let credentials = one_of_each(&mut fleet, &store);
    let (before, after) = credentials.split_at(3);
    let watched = watch(&credentials, &instances.each_ref());
    for (_, watch) in &watched {
        watch.accepted_everywhere();
    }
    for credential in before {
        block_on(credential.revoke(&store)).expect("the store has it");
    }
    redis.kill();
    let impatient = crate::harness::redis::open(redis.settings(), "pc:", Duration::from_millis(200));
    for credential in after {
        assert!(block_on(credential.revoke(&impatient)).is_err(), "nobody has it, so nobody may say so");
    }
    redis.restart();
    // Handles connect again by themselves; until then they say that they cannot.
    for credential in after {
        insist(|| block_on(credential.revoke(&store)).is_ok());
    }
    for (credential, watch) in &watched {
        stays_refused(watch, credential);
    }
    let late = fleet.start("late", &redis.url());
    for (credential, watch) in &watch(&credentials, &[&late]) {
        stays_refused(watch, credential);
        assert!(watch.seen()[0].accepted.is_none(), "{:?}", credential.kind);
    }
}

#[test]
fn a_redis_that_comes_back_empty_is_not_believed() {
    let mut redis = Redis::start();
    let mut fleet = Fleet::new("30s");
    let instances = ["one", "two"].map(|name| fleet.start(name, &redis.url()));
    let store = redis.store();
    let credentials = one_of_each(&mut fleet, &store);
    redis.command::<()>(&["SET", "witness", "1"]);
    let watched = watch(&credentials, &instances.each_ref());
    for (_, watch) in &watched {
        watch.accepted_everywhere();
    }
    for (credential, watch) in &watched {
        block_on(credential.revoke(&store)).expect("the store has it");
        watch.refused_everywhere(1);
    }
    redis.restart();
    assert_eq!(redis.command::<i64>(&["EXISTS", "witness"]), 0, "it has lost everything");
    // The instances that remember write back what it has forgotten; whoever comes later learns it from there.
    insist(|| redis.command::<i64>(&["ZCARD", "pc:revoked"]) >= Kind::ALL.len() as i64);
    let late = fleet.start("late", &redis.url());
    for (credential, late) in &watch(&credentials, &[&late]) {
        stays_refused(late, credential);
        assert!(late.seen()[0].accepted.is_none(), "{:?}", credential.kind);
    }
    for (credential, watch) in &watched {
        stays_refused(watch, credential);
    }
}

#[test]
fn without_its_store_an_instance_denies_once_it_knows_too_little() {
    let mut redis = Redis::start();
    let mut fleet = Fleet::new("400ms");
    let one = fleet.start("one", &redis.url());
    let store = redis.store();
    let credentials = one_of_each(&mut fleet, &store);
    let watched = watch(&credentials, &[&one]);
    for (_, watch) in &watched {
        watch.accepted_everywhere();
    }
    redis.kill();
    for (_, watch) in &watched {
        watch.until("told that nobody knows", |seen| seen[0].status == 503);
    }
    assert_eq!(get(one.address(), "/", "").status, 401, "nothing presented is nothing to look up");
    redis.restart();
    for (credential, watch) in watched.iter().filter(|(credential, _)| credential.line.contains("Bearer")) {
        let since = Instant::now();
        let what = format!("{:?} accepted again", credential.kind);
        watch.until(&what, |seen| seen[0].accepted.is_some_and(|(sent, _)| sent > since));
    }
}

#[test]
fn an_instance_that_is_cut_off_accepts_nothing_once_its_knowledge_is_too_old() {
    const MAX_STALENESS: Duration = Duration::from_secs(1);
    // Times are kept in whole milliseconds.
    const ROUNDING: Duration = Duration::from_millis(2);
    let redis = Redis::start();
    let relay = Relay::to(([127, 0, 0, 1], redis.port()).into());
    let mut fleet = Fleet::new("1s");
    let in_touch = fleet.start("one", &redis.url());
    let cut_off = fleet.start("two", &format!("redis://{}", relay.address()));
    let store = redis.store();
    let credentials = one_of_each(&mut fleet, &store);
    let watched = watch(&credentials, &[&in_touch, &cut_off]);
    for (_, watch) in &watched {
        watch.accepted_everywhere();
    }
    relay.cut();
    let mut revoked = Vec::new();
    for (credential, watch) in watched {
        block_on(credential.revoke(&store)).expect("the store has it");
        revoked.push((credential, watch, Instant::now()));
    }
    for (credential, watch, returned) in &revoked {
        let seen = watch.until("refused and denied", |seen| seen[0].refused > 0 && seen[1].status == 503);
        let (sent, _) = seen[1].accepted.expect("it was accepted at first");
        let late = sent.saturating_duration_since(*returned);
        assert!(late <= MAX_STALENESS + ROUNDING, "{:?}: accepted {late:?} later", credential.kind);
    }
    relay.heal();
    for (credential, watch, returned) in &revoked {
        stays_refused(watch, credential);
        let (sent, _) = watch.seen()[1].accepted.expect("it was accepted at first");
        assert!(sent.saturating_duration_since(*returned) <= MAX_STALENESS + ROUNDING, "{:?}", credential.kind);
    }
}

#[test]
fn a_failover_that_loses_acknowledged_revocations_makes_nothing_valid_again() {
    let mut sentinels = Sentinels::start();
    let mut fleet = Fleet::new("30s");
    let instances = ["one", "two"].map(|name| fleet.start(name, &sentinels.url()));
    let store = sentinels.store();
    let credentials = one_of_each(&mut fleet, &store);
    let watched = watch(&credentials, &instances.each_ref());
    for (_, watch) in &watched {
        watch.accepted_everywhere();
    }
    sentinels.settle();
    sentinels.fail_over_without(|| {
        for (credential, watch) in &watched {
            block_on(credential.revoke(&store)).expect("the master has it");
            watch.refused_everywhere(1);
        }
    });
    let entries = || sentinels.master().try_command::<usize>(&["ZCARD", "pc:revoked"]).unwrap_or(0);
    insist(|| entries() >= Kind::ALL.len());
    let late = fleet.start("late", &sentinels.url());
    for (credential, late) in &watch(&credentials, &[&late]) {
        stays_refused(late, credential);
        assert!(late.seen()[0].accepted.is_none(), "{:?}", credential.kind);
    }
    for (credential, watch) in &watched {
        stays_refused(watch, credential);
    }
}

#[track_caller]
fn insist(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "never done");
        std::thread::sleep(PAUSE);
    }
}
