//! Generations: what ends all sessions of a principal ends no later one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{StoreKind, StoreSettings};
use portcullis::model::{Clock, LogEntry, Principal, Revocation, SessionRecord, Timestamp};
use portcullis::store::{Reply, RevokeError, Sessions, Store, StoreError};

use super::records::{digest, session};
use super::{HOUR, SECOND, Subject, eventually, every_store, minus, now, plus};
use crate::harness::redis::Redis;

const LONGEST: Duration = Duration::from_secs(12 * 3600);

every_store! {
    what_begins_after_the_end_is_above_it_and_what_began_before_is_below
    only_the_principals_own_sessions_end
    sessions_that_began_later_than_a_time_go_on
    a_generation_that_a_record_brings_stays
    an_entry_that_is_restored_raises_the_generation
    the_entry_lives_as_long_as_the_longest_session
    f34_what_is_not_in_force_is_said_not_to_be
    f34_what_is_in_force_though_its_record_is_left_is_said_to_be
}

fn ada() -> Principal {
    Principal::new("https://id.example.com", "ada")
}

/// A record that has no generation yet.
fn fresh(id: &str, subject: &str) -> SessionRecord {
    SessionRecord { generation: 0, ..session(id, subject, now()) }
}

fn generation_of(entry: &LogEntry) -> u64 {
    match entry.what {
        Revocation::Sessions { generation, .. } => generation,
        ref other => panic!("{other:?}"),
    }
}

async fn ids(store: &Store) -> Vec<String> {
    store.sessions.list(None, now()).await.unwrap().iter().map(|record| record.id.to_string()).collect()
}

async fn what_begins_after_the_end_is_above_it_and_what_began_before_is_below<G>(of: &Subject<G>) {
    // Faster than the clock ticks.
    for n in 0..20_u8 {
        let before = of.store.sessions.create(&digest(2 * n), &fresh(&format!("old{n}"), "ada")).await.unwrap();
        let (entry, ended) = of.other.end_sessions(&ada(), LONGEST, now()).await.unwrap();
        assert!(ended >= 1, "{ended}");
        let after = of.store.sessions.create(&digest(2 * n + 1), &fresh(&format!("new{n}"), "ada")).await.unwrap();
        assert!(before < generation_of(&entry) && generation_of(&entry) <= after, "{before} {entry:?} {after}");
        assert_eq!(of.other.sessions.find(&digest(2 * n + 1), now()).await.unwrap().unwrap().generation, after);
        assert_eq!(of.other.sessions.find_by_id(&format!("new{n}"), now()).await.unwrap().unwrap().generation, after);
        assert_eq!(ids(&of.store).await, [format!("new{n}")]);
        assert!(of.store.log.replay(now()).await.unwrap().entries.contains(&entry));
    }
}

async fn only_the_principals_own_sessions_end<G>(of: &Subject<G>) {
    let mut elsewhere = fresh("elsewhere", "ada");
    elsewhere.principal = Principal::new("https://other.example.com", "ada");
    for (n, record) in (1..).zip([fresh("a", "ada"), fresh("b", "bob"), elsewhere]) {
        of.store.sessions.create(&digest(n), &record).await.unwrap();
    }
    assert_eq!(of.store.end_sessions(&ada(), LONGEST, now()).await.unwrap().1, 1);
    let mut left = ids(&of.store).await;
    left.sort();
    assert_eq!(left, ["b", "elsewhere"]);
}

async fn sessions_that_began_later_than_a_time_go_on<G>(of: &Subject<G>) {
    let before = minus(now(), HOUR);
    for (n, generation) in (1..).zip([before.0 - 1, before.0, before.0 + SECOND]) {
        let record = SessionRecord { generation, ..fresh(&format!("s{n}"), "ada") };
        of.store.sessions.create(&digest(n), &record).await.unwrap();
    }
    let (entry, ended) = of.store.end_sessions_before(&ada(), before, LONGEST, now()).await.unwrap();
    assert_eq!((generation_of(&entry), ended), (before.0, 1));
    let mut left = ids(&of.store).await;
    left.sort();
    assert_eq!(left, ["s2", "s3"]);
}

async fn a_generation_that_a_record_brings_stays<G>(of: &Subject<G>) {
    let record = SessionRecord { generation: 7, ..fresh("s1", "ada") };
    assert_eq!(of.store.sessions.create(&digest(1), &record).await.unwrap(), 7);
    assert_eq!(of.other.sessions.find(&digest(1), now()).await.unwrap(), Some(record.clone()));
    assert_eq!(of.store.sessions.remove("s1").await.unwrap(), Some(record));
}

async fn an_entry_that_is_restored_raises_the_generation<G>(of: &Subject<G>) {
    // As it would be after a loss of all data and with a clock that was set back.
    let generation = now().0 + HOUR;
    let entry = LogEntry { what: Revocation::Sessions { principal: ada(), generation }, until: plus(now(), HOUR) };
    of.store.log.append(&entry).await.unwrap();
    let born = of.other.sessions.create(&digest(1), &fresh("s1", "ada")).await.unwrap();
    assert!(born >= generation, "it is born revoked: {born} < {generation}");
    let (later, ended) = of.store.end_sessions(&ada(), LONGEST, now()).await.unwrap();
    assert!(generation_of(&later) > born && ended == 1);
    // An older entry takes nothing back.
    of.store.log.append(&entry).await.unwrap();
    let born = of.other.sessions.create(&digest(2), &fresh("s2", "ada")).await.unwrap();
    assert!(born >= generation_of(&later), "{born} {later:?}");
}

async fn the_entry_lives_as_long_as_the_longest_session<G>(of: &Subject<G>) {
    let at = now();
    let (entry, _) = of.store.end_sessions(&ada(), LONGEST, at).await.unwrap();
    assert_eq!(entry.until, plus(at, 12 * HOUR + 60 * SECOND));
    let long = SessionRecord { expires_at: plus(at, 100 * HOUR), ..fresh("s1", "ada") };
    of.store.sessions.create(&digest(1), &long).await.unwrap();
    let (entry, _) = of.store.end_sessions(&ada(), LONGEST, now()).await.unwrap();
    assert_eq!(entry.until, plus(at, 100 * HOUR + 60 * SECOND));
}

async fn f34_what_is_not_in_force_is_said_not_to_be<G>(of: &Subject<G>) {
    of.store.sessions.create(&digest(1), &fresh("s1", "ada")).await.unwrap();
    let broken = Store { log: Arc::new(super::revoke::BrokenLog), ..of.store.clone() };
    let failed = broken.end_sessions(&ada(), LONGEST, now()).await;
    assert!(matches!(failed, Err(RevokeError::NotInForce(_))), "{failed:?}");
    assert_eq!(ids(&of.store).await, ["s1"]);
    assert_eq!(of.store.end_sessions(&ada(), LONGEST, now()).await.unwrap().1, 1);
}

async fn f34_what_is_in_force_though_its_record_is_left_is_said_to_be<G>(of: &Subject<G>) {
    of.store.sessions.create(&digest(1), &fresh("s1", "ada")).await.unwrap();
    let broken = Store { sessions: Arc::new(Unremovable(of.store.sessions.clone())), ..of.store.clone() };
    for failed in [
        broken.end_sessions(&ada(), LONGEST, now()).await.map(drop),
        broken.revoke_session("s1", now()).await.map(drop),
    ] {
        assert!(matches!(failed, Err(RevokeError::RecordLeft(_))), "{failed:?}");
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("refused everywhere") && text.contains("call again"), "{text}");
    }
    assert_eq!(of.store.log.replay(now()).await.unwrap().entries.len(), 2);
    assert_eq!(of.store.end_sessions(&ada(), LONGEST, now()).await.unwrap().1, 1);
}

struct Unremovable(Arc<dyn Sessions>);

impl Sessions for Unremovable {
    fn create<'a>(&'a self, secret_sha256: &'a [u8; 32], record: &'a SessionRecord) -> Reply<'a, u64> {
        self.0.create(secret_sha256, record)
    }
    fn next_generation<'a>(&'a self, of: &'a Principal, until: Timestamp) -> Reply<'a, u64> {
        self.0.next_generation(of, until)
    }
    fn find<'a>(&'a self, secret_sha256: &'a [u8; 32], now: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        self.0.find(secret_sha256, now)
    }
    fn find_by_id<'a>(&'a self, id: &'a str, now: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        self.0.find_by_id(id, now)
    }
    fn touch<'a>(&'a self, secret_sha256: &'a [u8; 32], at: Timestamp) -> Reply<'a, bool> {
        self.0.touch(secret_sha256, at)
    }
    fn list<'a>(&'a self, of: Option<&'a Principal>, now: Timestamp) -> Reply<'a, Vec<SessionRecord>> {
        self.0.list(of, now)
    }
    fn remove<'a>(&'a self, _: &'a str) -> Reply<'a, Option<SessionRecord>> {
        Box::pin(async { Err(StoreError::Timeout(Duration::ZERO)) })
    }
}

/// The counter of `ada` alone is deleted: evicted, or lost by a failover.
#[tokio::test]
async fn a_lost_counter_revives_nothing_and_kills_nothing() {
    let redis = Redis::start();
    let store = redis.store();
    let old = store.sessions.create(&digest(1), &fresh("old", "ada")).await.unwrap();
    let (entry, _) = store.end_sessions(&ada(), LONGEST, now()).await.unwrap();
    let counter: Vec<String> = redis.command(&["KEYS", "pc:generation:*"]);
    assert_eq!(counter.len(), 1, "{counter:?}");
    redis.command::<()>(&["DEL", &counter[0]]);
    // The clock has gone on by the time that anybody logs in.
    eventually(async || now().0 >= generation_of(&entry)).await;
    let new = store.sessions.create(&digest(2), &fresh("new", "ada")).await.unwrap();
    assert!(old < generation_of(&entry) && generation_of(&entry) <= new, "{old} {entry:?} {new}");
    redis.command::<()>(&["DEL", &counter[0]]);
    let (again, ended) = store.end_sessions(&ada(), LONGEST, now()).await.unwrap();
    assert!(generation_of(&again) > new && ended == 1);
}

#[tokio::test]
async fn the_counter_lives_as_long_as_the_longest_of_what_it_was_raised_for() {
    let redis = Redis::start();
    let store = redis.store();
    let left = || redis.command::<u64>(&["PTTL", "pc:generation:22:https://id.example.com:ada"]);
    store.sessions.create(&digest(1), &fresh("s1", "ada")).await.unwrap();
    assert!((11 * HOUR..=12 * HOUR).contains(&left()), "{}", left());
    let short = SessionRecord { expires_at: plus(now(), HOUR), ..fresh("s2", "ada") };
    store.sessions.create(&digest(2), &short).await.unwrap();
    assert!(left() > 11 * HOUR, "{}", left());
    store.end_sessions(&ada(), 2 * LONGEST, now()).await.unwrap();
    assert!((23 * HOUR..=25 * HOUR).contains(&left()), "{}", left());
}

#[tokio::test]
async fn a_record_of_a_time_before_generations_is_below_them_all() {
    let redis = Redis::start();
    let store = redis.store();
    store.sessions.create(&digest(1), &fresh("s1", "ada")).await.unwrap();
    let key: Vec<String> = redis.command(&["KEYS", "pc:session:*"]);
    redis.command::<()>(&["HDEL", &key[0], "generation"]);
    assert_eq!(store.sessions.find(&digest(1), now()).await.unwrap().unwrap().generation, 0);
    assert_eq!(store.end_sessions(&ada(), LONGEST, now()).await.unwrap().1, 1);
}

struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_takes_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand(AtomicU64::new(now().0)));
    let open = || {
        let kind = StoreKind::Memory { file: Some(folder.path().join("state.json")) };
        let settings = StoreSettings { kind, prefix: "pc:".into(), timeout: LONGEST, replicas: 1 };
        Store::open(&settings, clock.clone(), Arc::new(Unobserved)).unwrap()
    };
    let store = open();
    let first = store.sessions.create(&digest(1), &fresh("s1", "ada")).await.unwrap();
    clock.0.fetch_sub(HOUR, Ordering::Relaxed);
    let (entry, ended) = store.end_sessions(&ada(), LONGEST, now()).await.unwrap();
    assert!(first < generation_of(&entry) && ended == 1, "{first} {entry:?}");
    assert!(store.sessions.create(&digest(2), &fresh("s2", "ada")).await.unwrap() >= generation_of(&entry));
    drop(store);
    // The file says it too: by the entry of the log, and by the session.
    let store = open();
    assert!(store.sessions.create(&digest(3), &fresh("s3", "ada")).await.unwrap() >= generation_of(&entry));
    assert_eq!(store.end_sessions(&ada(), LONGEST, now()).await.unwrap().1, 2);
}
