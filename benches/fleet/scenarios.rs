//! What happens in the midst of it.

use std::sync::Mutex;
use std::time::Duration;

use crate::harness::fleet::{Fleet, Instance};
use crate::harness::redis::Redis;
use crate::harness::relay::Relay;
use crate::harness::sentinel::Sentinels;
use crate::measure::{self, Measured};

/// One of them.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(usize) -> Measured,
}

/// All of them.
pub(crate) const ALL: &[Scenario] = &[
    Scenario { name: "all in touch with the log", run: in_touch },
    Scenario { name: "Redis killed, back with its data", run: restarted },
    Scenario { name: "Redis killed, back empty", run: emptied },
    Scenario { name: "one instance cut off for 8 s", run: cut_off },
    Scenario { name: "Redis Sentinel promotes a replica", run: failed_over },
];

const MAX_STALENESS: &str = "5s";

fn three(fleet: &Fleet, url: &str) -> [Instance; 3] {
    ["one", "two", "three"].map(|name| fleet.start(name, url))
}

fn in_touch(count: usize) -> Measured {
    let redis = Redis::start();
    let mut fleet = Fleet::new(MAX_STALENESS);
    let instances = three(&fleet, &redis.url());
    measure::run(&mut fleet, &redis.store(), &instances.each_ref(), None, count, || {})
}

fn restarted(count: usize) -> Measured {
    // Every write is on disk before it is acknowledged, as docs/revocation.md wants it.
    let redis = Redis::with().line("appendonly yes").line("appendfsync always").start();
    with_restart(redis, count)
}

fn emptied(count: usize) -> Measured {
    with_restart(Redis::start(), count)
}

fn with_restart(redis: Redis, count: usize) -> Measured {
    let mut fleet = Fleet::new(MAX_STALENESS);
    let instances = three(&fleet, &redis.url());
    let store = redis.store();
    let redis = Mutex::new(redis);
    measure::run(&mut fleet, &store, &instances.each_ref(), None, count, || redis.lock().expect("no panic").restart())
}

fn cut_off(count: usize) -> Measured {
    let redis = Redis::start();
    let relay = Relay::to(([127, 0, 0, 1], redis.port()).into());
    let mut fleet = Fleet::new(MAX_STALENESS);
    let url = redis.url();
    let instances = [("one", url.clone()), ("two", url), ("three", format!("redis://{}", relay.address()))]
        .map(|(name, url)| fleet.start(name, &url));
    measure::run(&mut fleet, &redis.store(), &instances.each_ref(), Some(2), count, || {
        relay.cut();
        std::thread::sleep(Duration::from_secs(8));
        relay.heal();
    })
}

fn failed_over(count: usize) -> Measured {
    let sentinels = Sentinels::start();
    let mut fleet = Fleet::new(MAX_STALENESS);
    let instances = three(&fleet, &sentinels.url());
    let store = sentinels.store();
    sentinels.settle();
    let sentinels = Mutex::new(sentinels);
    measure::run(&mut fleet, &store, &instances.each_ref(), None, count, || {
        sentinels.lock().expect("no panic").kill_master()
    })
}
