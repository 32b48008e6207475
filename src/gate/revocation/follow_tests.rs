use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;
use crate::gate::fixtures::{self, HeldClock};
use crate::model::settings::OnStale;
use crate::model::{CredentialKind, Verified};
use crate::store::Replay;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const UNTIL: Timestamp = Timestamp(1_900_000_000_000);

/// A log whose answers are laid out beforehand.
#[derive(Default)]
struct Scripted {
    live: Mutex<Vec<LogEntry>>,
    answers: Mutex<VecDeque<Result<Followed, StoreError>>>,
    appended: Mutex<Vec<LogEntry>>,
    beats: Mutex<u64>,
    run: Mutex<Option<Arc<str>>>,
    down: Mutex<bool>,
}

impl Scripted {
    fn at(&self, id: u64) -> Position {
        Position { run: self.run.lock().unwrap().clone().unwrap_or_else(|| "first".into()), id: (id, 0) }
    }

    fn answer(&self, id: u64, entries: Vec<LogEntry>) {
        let followed = Followed::Entries { position: self.at(id), entries };
        self.answers.lock().unwrap().push_back(Ok(followed));
    }

    fn reply<T: Send + 'static>(&self, value: T) -> Reply<'_, T> {
        let down = *self.down.lock().unwrap();
        Box::pin(async move { if down { Err(StoreError::Unreachable("gone".into())) } else { Ok(value) } })
    }
}

impl RevocationLog for Scripted {
    fn append<'a>(&'a self, entry: &'a LogEntry) -> Reply<'a, Position> {
        self.appended.lock().unwrap().push(entry.clone());
        self.reply(self.at(0))
    }
    fn replay(&self, _: Timestamp) -> Reply<'_, Replay> {
        self.reply(Replay { position: self.at(0), entries: self.live.lock().unwrap().clone() })
    }
    fn follow<'a>(&'a self, _: &'a Position, _: Duration) -> Reply<'a, Followed> {
        let answer = self.answers.lock().unwrap().pop_front().expect("an answer is laid out");
        Box::pin(async move { answer })
    }
    /// Heartbeats are numbered 100, 200, …
    fn beat(&self) -> Reply<'_, Position> {
        *self.beats.lock().unwrap() += 1;
        self.reply(self.at(*self.beats.lock().unwrap() * 100))
    }
}

struct Bench {
    log: Scripted,
    clock: Arc<HeldClock>,
    shared: Arc<Shared>,
    revocations: RevocationSet,
    place: Option<Place>,
}

impl Bench {
    fn new() -> Self {
        let clock = HeldClock::at(NOW);
        let shared = fixtures::shared(clock.clone());
        let revocations = RevocationSet::new(Duration::from_secs(5));
        Self { log: Scripted::default(), clock, shared, revocations, place: None }
    }

    async fn advance(&mut self) -> Result<(), Problem> {
        let follower = Follower {
            log: &self.log,
            revocations: &self.revocations,
            cache: &self.shared.cache,
            clock: &*self.clock,
            metrics: &self.shared.metrics,
        };
        follower.advance(&mut self.place).await
    }

    fn staleness(&self) -> Option<Duration> {
        self.revocations.staleness(self.clock.now())
    }

    fn is_revoked(&self, id: &str) -> bool {
        let key = Verified { credential_id: id.into(), ..fixtures::verified(CredentialKind::ApiKey) };
        self.revocations.check(&key, OnStale::Allow, self.clock.now()).is_err()
    }
}

fn key(id: &str) -> LogEntry {
    LogEntry { what: Revocation::ApiKey { id: id.into() }, until: UNTIL }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn the_live_set_is_read_before_anything_is_fresh() {
    let mut bench = Bench::new();
    assert_eq!(bench.staleness(), None);
    *bench.log.live.lock().unwrap() = vec![key("a")];
    bench.advance().await.unwrap();
    assert_eq!(bench.staleness(), Some(Duration::ZERO));
    assert!(bench.is_revoked("a") && !bench.is_revoked("b"));
}

#[tokio::test]
async fn what_is_announced_is_in_force() {
    let mut bench = Bench::new();
    bench.advance().await.unwrap();
    bench.log.answer(1, vec![key("a")]);
    bench.advance().await.unwrap();
    assert!(bench.is_revoked("a"));
}

#[tokio::test]
async fn a_change_reaches_the_cache_and_so_does_that_some_may_have_been_missed() {
    let mut bench = Bench::new();
    let cache = bench.shared.cache.clone();
    bench.advance().await.unwrap();
    let replayed = cache.generation();
    assert_ne!(replayed, 0);
    bench.log.answer(1, vec![LogEntry { what: Revocation::Changed { id: "s".into() }, until: UNTIL }]);
    bench.advance().await.unwrap();
    assert_eq!(cache.generation(), replayed + 1);
    assert!(bench.revocations.is_empty());
    bench.log.answer(2, vec![]);
    bench.advance().await.unwrap();
    assert_eq!(cache.generation(), replayed + 1, "nothing has changed");
}

#[tokio::test]
async fn fresh_is_a_heartbeat_read_back_and_not_an_answer() {
    let mut bench = Bench::new();
    bench.advance().await.unwrap();
    bench.clock.advance(SECOND);
    // The heartbeat, number 100, is written now.
    bench.log.answer(99, vec![]);
    bench.advance().await.unwrap();
    bench.clock.advance(SECOND);
    bench.log.answer(99, vec![key("a")]);
    bench.advance().await.unwrap();
    assert_eq!(bench.staleness(), Some(2 * SECOND), "answers without the heartbeat prove nothing");
    bench.log.answer(100, vec![]);
    bench.advance().await.unwrap();
    assert_eq!(bench.staleness(), Some(SECOND), "as of when the first one was written");
}

#[tokio::test]
async fn whoever_catches_up_is_fresh_as_of_the_last_heartbeat() {
    let mut bench = Bench::new();
    bench.advance().await.unwrap();
    for _ in 0..6 {
        bench.clock.advance(SECOND);
        bench.log.answer(99, vec![]);
        bench.advance().await.unwrap();
    }
    assert_eq!(bench.staleness(), Some(6 * SECOND), "none of six heartbeats has come");
    bench.clock.advance(SECOND / 2);
    bench.log.answer(600, vec![]);
    bench.advance().await.unwrap();
    assert_eq!(bench.staleness(), Some(SECOND / 2), "all have come, and the last was written half a second ago");
}

#[tokio::test]
async fn an_outage_makes_stale_and_forgets_nothing() {
    let mut bench = Bench::new();
    *bench.log.live.lock().unwrap() = vec![key("a")];
    bench.advance().await.unwrap();
    *bench.log.down.lock().unwrap() = true;
    for _ in 0..6 {
        bench.clock.advance(SECOND);
        assert!(matches!(bench.advance().await, Err(Problem::Store(_))));
    }
    assert_eq!(bench.staleness(), Some(6 * SECOND));
    assert!(bench.is_revoked("a"));
    *bench.log.down.lock().unwrap() = false;
    // On from the same place, without reading all again.
    bench.log.answer(1000, vec![key("b")]);
    bench.advance().await.unwrap();
    assert_eq!(bench.staleness(), Some(Duration::ZERO));
    assert!(bench.is_revoked("a") && bench.is_revoked("b"));
}

#[tokio::test]
async fn after_a_gap_all_is_read_again() {
    let mut bench = Bench::new();
    bench.advance().await.unwrap();
    bench.log.answers.lock().unwrap().push_back(Ok(Followed::Gap));
    assert!(matches!(bench.advance().await, Err(Problem::Gap)));
    *bench.log.live.lock().unwrap() = vec![key("missed")];
    bench.advance().await.unwrap();
    assert!(bench.is_revoked("missed"));
}

#[tokio::test]
async fn another_run_of_the_log_is_a_gap() {
    let mut bench = Bench::new();
    bench.advance().await.unwrap();
    *bench.log.run.lock().unwrap() = Some("second".into());
    bench.log.answer(1, vec![]);
    assert!(matches!(bench.advance().await, Err(Problem::Gap)));
    assert!(bench.place.is_none());
}

#[tokio::test]
async fn lower_ids_are_a_gap() {
    let mut bench = Bench::new();
    bench.advance().await.unwrap();
    bench.log.answer(5000, vec![]);
    bench.advance().await.unwrap();
    bench.clock.advance(SECOND);
    assert!(matches!(bench.advance().await, Err(Problem::Gap)), "heartbeat 200 comes after 5000");
}

#[tokio::test]
async fn a_store_that_comes_back_empty_is_not_believed() {
    let mut bench = Bench::new();
    let ending = LogEntry { until: NOW.after(SECOND), ..key("ending") };
    *bench.log.live.lock().unwrap() = vec![key("a"), key("b"), ending];
    bench.advance().await.unwrap();
    bench.log.answers.lock().unwrap().push_back(Ok(Followed::Gap));
    bench.advance().await.unwrap_err();
    *bench.log.live.lock().unwrap() = vec![key("b"), key("c")];
    bench.advance().await.unwrap();
    for id in ["a", "b", "c"] {
        assert!(bench.is_revoked(id), "{id}");
    }
    assert_eq!(*bench.log.appended.lock().unwrap(), vec![key("a")], "what was lost is written back");
}

#[tokio::test]
async fn a_write_back_that_fails_is_tried_again() {
    let mut bench = Bench::new();
    bench.revocations.add(&[key("a")]);
    *bench.log.down.lock().unwrap() = true;
    assert!(bench.advance().await.is_err());
    assert!(bench.place.is_none());
    *bench.log.down.lock().unwrap() = false;
    bench.advance().await.unwrap();
    assert_eq!(*bench.log.appended.lock().unwrap(), vec![key("a")]);
}

#[test]
fn pauses_are_bounded() {
    assert_eq!(pause(0), FIRST_PAUSE);
    assert!(pause(1) > pause(0));
    assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
}

/// The whole of it, on the store in memory.
#[tokio::test]
async fn a_revocation_is_in_force_soon_after_the_store_has_it() {
    let clock = HeldClock::at(NOW);
    let (shared, store) = (fixtures::shared(clock.clone()), fixtures::store(clock));
    let revoked = fixtures::verified(CredentialKind::ApiKey);
    let in_force = async {
        store.log.append(&key(&revoked.credential_id)).await.unwrap();
        while shared.revocations.check(&revoked, OnStale::Deny, NOW).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let audience = Audience::of(&shared);
    tokio::select! {
        () = follow(&audience, &store) => unreachable!("it follows until dropped"),
        () = in_force => {}
    }
}
