//! What is particular to Redis: how it is reached, how data lies in it, what it may not be.

use std::time::Duration;

use portcullis::model::Secret;
use portcullis::model::settings::{RedisAddress, RedisNode, RedisSettings, RedisTls};
use portcullis::store::{Store, StoreError};

use super::log::{goes_on, is_gap};
use super::records::{api_key, digest, revoked, session};
use super::{HOUR, eventually, now, plus};
use crate::harness::redis::{Redis, open};

const PATIENCE: Duration = Duration::from_secs(20);
const PASSWORD: &str = "canary-5f2c";

/// What the store needs, and nothing else.
const ACL: &str = "user pc on >canary-5f2c ~pc:* resetchannels -@all +@read +@write +@scripting +@connection \
                   +info +time +wait";

pub async fn works(store: &Store) {
    store.ping().await.unwrap();
    let record = session("s1", "ada", now());
    store.sessions.create(&digest(1), &record).await.unwrap();
    assert!(store.sessions.touch(&digest(1), plus(now(), 1)).await.unwrap());
    assert_eq!(store.sessions.list(None, now()).await.unwrap().len(), 1);
    store.api_keys.create(&api_key("k1", now())).await.unwrap();
    store.api_keys.touch("k1", now()).await.unwrap();
    assert_eq!(store.api_keys.list().await.unwrap().len(), 1);
    let start = store.log.replay(now()).await.unwrap().position;
    store.revoke_session("s1", now()).await.unwrap().unwrap();
    store.revoke_api_key("k1", now()).await.unwrap().unwrap();
    assert!(!is_gap(store, &start).await);
    assert_eq!(store.log.replay(now()).await.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn it_is_reached_over_a_unix_socket() {
    let redis = Redis::start();
    let settings = RedisSettings { address: RedisAddress::Unix(redis.socket()), ..redis.settings() };
    works(&open(settings, "pc:", PATIENCE)).await;
}

#[tokio::test]
async fn it_is_reached_over_tls() {
    let redis = Redis::with().tls().password(PASSWORD).start();
    works(&redis.store()).await;
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let (redis, other) = (Redis::with().tls().start(), Redis::with().tls().prepare());
    let tls = Some(RedisTls { ca: Some(other.ca()), certificate: None });
    let store = open(RedisSettings { tls, ..redis.settings() }, "pc:", PATIENCE);
    let error = store.ping().await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let redis = Redis::with().tls().start();
    let address = RedisAddress::Server(RedisNode { host: "127.0.0.1".into(), port: redis.port() });
    let store = open(RedisSettings { address, ..redis.settings() }, "pc:", PATIENCE);
    let error = store.ping().await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn f54_a_bad_ca_file_is_refused_when_the_store_opens() {
    use portcullis::model::settings::{StoreKind, StoreSettings};
    let redis = Redis::with().tls().prepare();
    let missing = redis.ca().with_file_name("missing.pem");
    let key = redis.ca().with_file_name("server.key");
    for ca in [missing, key] {
        let tls = Some(RedisTls { ca: Some(ca.clone()), certificate: None });
        let kind = StoreKind::Redis(RedisSettings { tls, ..redis.settings() });
        let settings = StoreSettings { kind, prefix: "pc:".into(), timeout: PATIENCE, replicas: 1 };
        let clock = std::sync::Arc::new(portcullis::model::SystemClock);
        let observer = std::sync::Arc::new(portcullis::model::observer::Unobserved);
        let Err(error) = Store::open(&settings, clock, observer) else { panic!("{} was accepted", ca.display()) };
        assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
        assert!(error.to_string().contains(&ca.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_user_with_no_more_than_it_needs_suffices() {
    let redis = Redis::with().line(ACL).start();
    works(&open(as_user(&redis, PASSWORD), "pc:", PATIENCE)).await;
}

fn as_user(redis: &Redis, password: &str) -> RedisSettings {
    let password = Some(Secret::new(password.to_owned()));
    RedisSettings { username: Some("pc".into()), password, ..redis.settings() }
}

#[tokio::test]
async fn f49_a_wrong_password_is_told_and_not_repeated() {
    let redis = Redis::with().line(ACL).password("right").start();
    let wrong = Some(Secret::new(PASSWORD.to_owned()));
    let default_user = RedisSettings { password: wrong, ..redis.settings() };
    let no_password = RedisSettings { password: None, ..redis.settings() };
    for (settings, expected) in
        [(default_user, "password"), (as_user(&redis, "canary-5f2c-wrong"), "password"), (no_password, "NOAUTH")]
    {
        assert!(!format!("{settings:?}").contains("canary"));
        let store = open(settings, "pc:", PATIENCE);
        for error in [store.ping().await.unwrap_err(), store.log.beat().await.unwrap_err()] {
            let text = format!("{error} {error:?}");
            assert!(matches!(error, StoreError::Refused(_)) && text.contains(expected), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }
}

#[tokio::test]
async fn it_keeps_to_its_database_and_its_prefix() {
    let redis = Redis::start();
    let third = || RedisSettings { database: 3, ..redis.settings() };
    let (one, two) = (open(third(), "one:", PATIENCE), open(third(), "two:", PATIENCE));
    works(&one).await;
    one.sessions.create(&digest(1), &session("s1", "ada", now())).await.unwrap();
    assert_eq!(two.sessions.find(&digest(1), now()).await.unwrap(), None);
    assert_eq!(two.sessions.list(None, now()).await.unwrap(), []);
    assert_eq!(two.api_keys.list().await.unwrap(), []);
    assert_eq!(two.log.replay(now()).await.unwrap().entries, []);
    works(&two).await;
    assert_eq!(redis.command::<u64>(&["DBSIZE"]), 0);
    redis.command::<()>(&["SWAPDB", "0", "3"]);
    let keys: Vec<String> = redis.command(&["KEYS", "*"]);
    assert!(keys.len() > 10, "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with("one:") || key.starts_with("two:")), "{keys:?}");
}

#[tokio::test]
async fn redis_ends_sessions_itself_when_they_end() {
    let redis = Redis::start();
    let store = redis.store();
    let record = session("s1", "ada", now());
    store.sessions.create(&digest(1), &record).await.unwrap();
    let key = format!("pc:session:{}", "01".repeat(32));
    let end = |key: &str| redis.command::<u64>(&["PEXPIRETIME", key]);
    assert_eq!(end(&key), record.seen_at.0 + HOUR);
    store.sessions.touch(&digest(1), plus(record.seen_at, 1000)).await.unwrap();
    assert_eq!(end(&key), record.seen_at.0 + HOUR + 1000);
    store.sessions.touch(&digest(1), plus(record.seen_at, HOUR + 500)).await.unwrap();
    for index in ["pc:session-id:s1", "pc:sessions", "pc:sessions:of:22:https://id.example.com:ada"] {
        assert_eq!(end(index), record.expires_at.0, "{index}");
    }
    // Nor does Redis keep it past its absolute end, however late it is used.
    let mut busy = session("s3", "bob", now());
    busy.idle_ms = 24 * HOUR;
    store.sessions.create(&digest(3), &busy).await.unwrap();
    assert!(store.sessions.touch(&digest(3), plus(busy.seen_at, HOUR)).await.unwrap());
    assert_eq!(end(&format!("pc:session:{}", "03".repeat(32))), busy.expires_at.0);
    // An index never outlives what is in it, nor the other way round.
    let mut short = session("s2", "ada", now());
    short.expires_at = plus(now(), HOUR);
    store.sessions.create(&digest(2), &short).await.unwrap();
    assert_eq!(end("pc:sessions:of:22:https://id.example.com:ada"), record.expires_at.0);
}

#[tokio::test]
async fn what_redis_has_ended_leaves_the_indices() {
    let redis = Redis::start();
    let store = redis.store();
    let record = session("s1", "ada", now());
    store.sessions.create(&digest(1), &record).await.unwrap();
    redis.command::<()>(&["DEL", &format!("pc:session:{}", "01".repeat(32))]);
    assert_eq!(store.sessions.list(None, now()).await.unwrap(), []);
    assert_eq!(store.sessions.list(Some(&record.principal), now()).await.unwrap(), []);
    assert_eq!(redis.command::<u64>(&["EXISTS", "pc:sessions", "pc:sessions:of:22:https://id.example.com:ada"]), 0);
    assert_eq!(store.sessions.remove("s1").await.unwrap(), None);
}

#[tokio::test]
async fn expired_revocations_leave_the_live_set() {
    let redis = Redis::start();
    let store = redis.store();
    for ago in [61_000, 59_000] {
        store.log.append(&revoked(&ago.to_string(), portcullis::model::Timestamp(now().0 - ago))).await.unwrap();
    }
    store.log.append(&revoked("live", plus(now(), HOUR))).await.unwrap();
    assert_eq!(redis.command::<u64>(&["ZCARD", "pc:revoked"]), 2);
}

#[tokio::test]
async fn a_damaged_record_is_named_and_not_quoted() {
    let redis = Redis::start();
    let store = redis.store();
    store.sessions.create(&digest(1), &session("s1", "ada", now())).await.unwrap();
    store.api_keys.create(&api_key("k1", now())).await.unwrap();
    store.api_keys.create(&api_key("k2", now())).await.unwrap();
    let start = store.log.replay(now()).await.unwrap().position;
    let session = format!("pc:session:{}", "01".repeat(32));
    let damage = r#"{"id":"canary","principal":"canary"}"#;
    redis.command::<()>(&["HSET", &session, "record", damage]);
    redis.command::<()>(&["HSET", "pc:key:k1", "record", damage]);
    redis.command::<()>(&["HSET", "pc:key:k2", "revoked", "canary"]);
    redis.command::<()>(&["ZADD", "pc:revoked", "+inf", damage]);
    redis.command::<()>(&["XADD", "pc:log", "*", "entry", damage]);
    let errors = [
        (store.sessions.find(&digest(1), now()).await.unwrap_err(), session.as_str()),
        (store.sessions.find_by_id("s1", now()).await.unwrap_err(), "pc:session-id:s1"),
        (store.sessions.list(None, now()).await.unwrap_err(), "pc:session-id:s1"),
        (store.api_keys.find("k1").await.unwrap_err(), "pc:key:k1"),
        (store.api_keys.revoke("k2", now()).await.unwrap_err(), "pc:key:k2"),
        (store.api_keys.list().await.unwrap_err(), "pc:key:k"),
        (store.log.replay(now()).await.unwrap_err(), "pc:revoked"),
        (store.log.follow(&start, PATIENCE).await.unwrap_err(), "pc:log"),
    ];
    for (error, key) in errors {
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains(key), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    redis.command::<()>(&["HSET", &session, "seen", "canary"]);
    assert!(matches!(store.sessions.touch(&digest(1), now()).await, Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn a_key_of_another_type_is_an_error() {
    let redis = Redis::start();
    let store = redis.store();
    redis.command::<()>(&["SET", &format!("pc:session:{}", "01".repeat(32)), "x"]);
    redis.command::<()>(&["SET", "pc:log", "x"]);
    assert!(matches!(store.sessions.find(&digest(1), now()).await, Err(StoreError::Refused(_))));
    assert!(matches!(store.log.append(&revoked("a", plus(now(), 1))).await, Err(StoreError::Refused(_))));
}

#[tokio::test]
async fn a_trimmed_position_is_a_gap() {
    let redis = Redis::start();
    let store = redis.store();
    let start = store.log.replay(now()).await.unwrap().position;
    let first = store.log.append(&revoked("a", plus(now(), HOUR))).await.unwrap();
    let second = store.log.append(&revoked("b", plus(now(), HOUR))).await.unwrap();
    redis.command::<()>(&["XTRIM", "pc:log", "MAXLEN", "1"]);
    assert!(is_gap(&store, &start).await);
    assert!(is_gap(&store, &first).await);
    store.log.beat().await.unwrap();
    assert!(!is_gap(&store, &second).await);
}

#[tokio::test]
async fn the_log_is_trimmed_to_an_hour_and_the_live_set_is_not() {
    let redis = Redis::start();
    let store = redis.store();
    let old = now().0 - HOUR - 60_000;
    for n in 0..1000 {
        redis.command::<()>(&["XADD", "pc:log", &format!("{old}-{n}"), "beat", "1"]);
    }
    store.log.append(&revoked("a", plus(now(), HOUR))).await.unwrap();
    let left: u64 = redis.command(&["XLEN", "pc:log"]);
    assert!(left < 200, "{left} entries are left");
    assert_eq!(store.log.replay(now()).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn lost_data_is_a_gap_and_a_new_run() {
    let redis = Redis::start();
    let store = redis.store();
    let before = store.log.append(&revoked("a", plus(now(), HOUR))).await.unwrap();
    redis.command::<()>(&["FLUSHALL"]);
    assert!(is_gap(&store, &before).await);
    let after = store.log.beat().await.unwrap();
    assert_ne!(after.run, before.run);
    assert!(is_gap(&store, &before).await);
    assert_eq!(store.log.replay(now()).await.unwrap().entries, []);
}

#[tokio::test]
async fn data_lost_while_waiting_is_a_gap() {
    let redis = Redis::start();
    let (store, other) = (redis.store(), redis.store());
    let start = store.log.append(&revoked("a", plus(now(), HOUR))).await.unwrap();
    let (gap, ()) = tokio::join!(is_gap(&store, &start), async {
        tokio::task::yield_now().await;
        redis.command::<()>(&["FLUSHALL"]);
        other.log.append(&revoked("b", plus(now(), HOUR))).await.unwrap();
    });
    assert!(gap);
}

#[tokio::test]
async fn a_server_that_comes_back_with_older_data_is_a_gap() {
    let mut redis = Redis::start();
    let store = redis.store();
    store.log.beat().await.unwrap();
    redis.command::<()>(&["SAVE"]);
    let before = store.log.append(&revoked("lost", plus(now(), HOUR))).await.unwrap();
    redis.restart();
    // The log goes on above the old position, so ids alone do not tell.
    eventually(async || store.log.beat().await.is_ok_and(|beat| beat.id > before.id)).await;
    assert!(is_gap(&store, &before).await);
}

/// Its process goes on, its data may have been another's in between; so may connections to it.
#[tokio::test]
async fn a_server_that_was_a_replica_for_a_while_is_a_gap_and_then_another_run() {
    let redis = Redis::start();
    let store = redis.store();
    let before = store.log.replay(now()).await.unwrap().position;
    redis.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    redis.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    assert!(is_gap(&store, &before).await);
    let after = store.log.replay(now()).await.unwrap().position;
    assert_ne!(after.run, before.run);
    assert!(goes_on(&store, &after).await);
}

#[tokio::test]
async fn an_evicting_policy_is_refused() {
    let cases = [
        (&["maxmemory 100mb", "maxmemory-policy allkeys-lru"][..], false),
        (&["maxmemory 100mb", "maxmemory-policy volatile-ttl"], false),
        (&["maxmemory 100mb", "maxmemory-policy noeviction"], true),
        (&["maxmemory-policy allkeys-lru"], true),
    ];
    for (lines, fine) in cases {
        let redis = lines.iter().fold(Redis::with().line(ACL), |with, line| with.line(line)).start();
        // The second one may not read the configuration.
        for store in [redis.store(), open(as_user(&redis, PASSWORD), "pc:", PATIENCE)] {
            match store.ping().await {
                Ok(()) => assert!(fine, "{lines:?} was accepted"),
                Err(StoreError::Misconfigured(text)) => assert!(!fine && text.contains("noeviction"), "{text}"),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_is_refused() {
    let redis = Redis::with().line(&ACL.replace("+info", "")).start();
    let store = open(as_user(&redis, PASSWORD), "pc:", PATIENCE);
    let error = store.ping().await.unwrap_err();
    assert!(matches!(&error, StoreError::Misconfigured(text) if text.contains("+info")), "{error:?}");
}

#[tokio::test]
async fn a_revocation_returns_once_a_replica_has_it() {
    let redis = Redis::start();
    let replica = Redis::with().line(&format!("replicaof 127.0.0.1 {}", redis.port())).start();
    let connected = |info: String| info.contains("state=online");
    eventually(async || connected(redis.command(&["INFO", "replication"]))).await;
    let store = open(redis.settings(), "pc:", PATIENCE);
    store.log.append(&revoked("a", plus(now(), HOUR))).await.unwrap();
    assert_eq!(replica.command::<u64>(&["ZCARD", "pc:revoked"]), 1);
    replica.freeze();
    let hasty = open(redis.settings(), "pc:", Duration::from_secs(1));
    let error = hasty.log.append(&revoked("b", plus(now(), HOUR))).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(text) if text.contains("replica")), "{error:?}");
    replica.thaw();
}
