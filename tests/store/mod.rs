//! What every store must do, and what each of them must do besides.

mod api_keys;
mod client_certificate;
mod cluster;
mod file;
mod foreign;
mod generations;
mod log;
mod outage;
mod records;
mod redis;
mod replays;
mod revoke;
mod sentinel;
mod sessions;

use std::sync::Arc;

use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{StoreKind, StoreSettings};
use portcullis::model::{Clock, SystemClock, Timestamp};
use portcullis::store::Store;

/// Two handles to one store, and whatever must live as long as they do.
pub struct Subject<G = ()> {
    pub store: Store,
    pub other: Store,
    pub guard: G,
}

/// One that keeps everything in memory.
pub fn in_memory() -> Subject {
    let settings = StoreSettings {
        kind: StoreKind::Memory { file: None },
        prefix: "pc:".into(),
        timeout: std::time::Duration::from_secs(20),
        replicas: 1,
    };
    let store = Store::open(&settings, Arc::new(SystemClock), Arc::new(Unobserved)).expect("memory opens");
    Subject { other: store.handle(), store, guard: () }
}

/// One in a Redis of its own.
pub fn in_redis() -> Subject<crate::harness::redis::Redis> {
    let redis = crate::harness::redis::Redis::start();
    let store = redis.store();
    Subject { other: store.handle(), store, guard: redis }
}

/// One in something that runs already, apart from all others in it.
pub fn within(settings: portcullis::model::settings::RedisSettings, prefix: &str) -> Subject {
    let store = crate::harness::redis::open(settings, prefix, std::time::Duration::from_secs(20));
    Subject { other: store.handle(), store, guard: () }
}

/// Runs each of the functions named against every kind of store. Sentinels and clusters take long to start: all share
/// one.
macro_rules! every_store {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&crate::store::in_memory()).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&crate::store::in_redis()).await;
            })*
        }
        #[tokio::test]
        async fn sentinel() {
            let fleet = crate::harness::sentinel::Sentinels::with().replicas(1).sentinels(1).start();
            $(println!("{}", stringify!($name));
            $name(&crate::store::within(fleet.settings(), concat!(stringify!($name), ":"))).await;)*
        }
        #[tokio::test]
        async fn cluster() {
            let cluster = crate::harness::cluster::Cluster::start();
            $(println!("{}", stringify!($name));
            $name(&crate::store::within(cluster.settings(), concat!(stringify!($name), ":"))).await;)*
        }
    };
}
pub(crate) use every_store;

/// Redis ends records by its own clock, so times in tests are near the present one.
pub fn now() -> Timestamp {
    SystemClock.now()
}

pub const SECOND: u64 = 1000;
pub const HOUR: u64 = 60 * 60 * SECOND;

pub fn plus(time: Timestamp, ms: u64) -> Timestamp {
    Timestamp(time.0 + ms)
}

pub fn minus(time: Timestamp, ms: u64) -> Timestamp {
    Timestamp(time.0 - ms)
}

/// Asks again until it is so: for what other processes do in their own time.
pub async fn eventually(mut so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !so().await {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), asking).await.expect("it does not come true");
}
