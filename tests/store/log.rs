//! The revocation log.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis::model::{LogEntry, Principal, Revocation, Timestamp};
use portcullis::store::{Followed, Position, Store};

use super::records::revoked;
use super::{HOUR, Subject, every_store, minus, now, plus};

every_store! {
    what_is_appended_is_announced_in_order_to_every_handle
    whoever_waits_is_woken
    nothing_new_is_no_error
    every_kind_survives
    a_replay_holds_what_has_not_expired
    a_replay_leaves_nothing_out
    an_entry_that_is_appended_again_lives_longer_and_never_shorter
    nothing_is_missed_between_replay_and_follow
    heartbeats_move_the_position_and_nothing_else
    another_run_is_a_gap
    a_position_ahead_of_the_log_is_a_gap
    many_entries_come_in_several_answers
}

/// Long enough for anything that comes at all.
const LONG: Duration = Duration::from_secs(60);
const NOW: Duration = Duration::ZERO;

async fn follow(store: &Store, after: &Position, wait: Duration) -> (Position, Vec<LogEntry>) {
    match store.log.follow(after, wait).await.unwrap() {
        Followed::Entries { position, entries } => (position, entries),
        Followed::Gap => panic!("a gap"),
    }
}

pub async fn is_gap(store: &Store, after: &Position) -> bool {
    matches!(store.log.follow(after, LONG).await.unwrap(), Followed::Gap)
}

/// Whether it can be followed from there; does not wait for anything.
pub async fn goes_on(store: &Store, after: &Position) -> bool {
    matches!(store.log.follow(after, NOW).await, Ok(Followed::Entries { .. }))
}

async fn what_is_appended_is_announced_in_order_to_every_handle<G>(of: &Subject<G>) {
    let start = of.other.log.replay(now()).await.unwrap().position;
    let entries = ["a", "c", "b"].map(|id| revoked(id, plus(now(), HOUR)));
    let mut last = start.clone();
    for entry in &entries {
        let position = of.store.log.append(entry).await.unwrap();
        assert!(position.id > last.id && position.run == last.run, "{position:?} after {last:?}");
        last = position;
    }
    for store in [&of.store, &of.other] {
        assert_eq!(follow(store, &start, LONG).await, (last.clone(), entries.to_vec()));
    }
}

async fn whoever_waits_is_woken<G>(of: &Subject<G>) {
    let start = of.other.log.replay(now()).await.unwrap().position;
    let entry = revoked("a", plus(now(), HOUR));
    let (followed, position) = tokio::join!(follow(&of.other, &start, LONG), async {
        // The other one has been polled first and waits.
        tokio::task::yield_now().await;
        of.store.log.append(&entry).await.unwrap()
    });
    assert_eq!(followed, (position, vec![entry]));
}

async fn nothing_new_is_no_error<G>(of: &Subject<G>) {
    let start = of.store.log.replay(now()).await.unwrap().position;
    assert_eq!(follow(&of.store, &start, NOW).await, (start.clone(), vec![]));
    assert_eq!(follow(&of.store, &start, Duration::from_millis(5)).await, (start, vec![]));
}

async fn every_kind_survives<G>(of: &Subject<G>) {
    let principal = Principal::new("https://id.example.com", "a|d\"a\u{0}ö");
    let kinds = [
        Revocation::Token { issuer: "https://id.example.com".into(), id: "jti".into() },
        Revocation::PrincipalBefore { principal: principal.clone(), before: Timestamp(u64::MAX) },
        Revocation::Session { id: "x".into() },
        Revocation::Sessions { principal, generation: u64::MAX },
        Revocation::Family { id: "x".into() },
        Revocation::ApiKey { id: "x".into() },
        Revocation::Certificate { fingerprint: "ab".repeat(32).into() },
        Revocation::Changed { id: "x".into() },
    ];
    let untils = [plus(now(), HOUR), Timestamp::NEVER];
    let entries: Vec<_> =
        kinds.into_iter().enumerate().map(|(n, what)| LogEntry { what, until: untils[n % 2] }).collect();
    let start = of.store.log.replay(now()).await.unwrap().position;
    for entry in &entries {
        of.store.log.append(entry).await.unwrap();
    }
    assert_eq!(follow(&of.other, &start, LONG).await.1, entries);
    let live = of.other.log.replay(now()).await.unwrap().entries;
    assert_eq!(live.len(), entries.len());
    assert!(entries.iter().all(|entry| live.contains(entry)), "{live:#?}");
}

async fn a_replay_holds_what_has_not_expired<G>(of: &Subject<G>) {
    let later = plus(now(), HOUR);
    let entries = [revoked("gone", later), revoked("live", plus(later, 1)), revoked("ever", Timestamp::NEVER)];
    for entry in &entries {
        of.store.log.append(entry).await.unwrap();
    }
    let live = of.other.log.replay(later).await.unwrap().entries;
    assert_eq!(live.len(), 2, "{live:?}");
    assert!(entries[1..].iter().all(|entry| live.contains(entry)));
    assert_eq!(of.other.log.replay(minus(later, 1)).await.unwrap().entries.len(), 3);
}

async fn a_replay_leaves_nothing_out<G>(of: &Subject<G>) {
    let until = plus(now(), HOUR);
    for n in 0..700_u64 {
        of.store.log.append(&revoked(&n.to_string(), plus(until, n))).await.unwrap();
    }
    let live: BTreeSet<_> = of.store.log.replay(now()).await.unwrap().entries.into_iter().map(|e| e.until).collect();
    assert_eq!(live, (0..700).map(|n| plus(until, n)).collect());
}

async fn an_entry_that_is_appended_again_lives_longer_and_never_shorter<G>(of: &Subject<G>) {
    let until = plus(now(), HOUR);
    for end in [until, plus(until, 10), plus(until, 5)] {
        of.store.log.append(&revoked("a", end)).await.unwrap();
    }
    assert_eq!(of.store.log.replay(now()).await.unwrap().entries, [revoked("a", plus(until, 10))]);
}

async fn nothing_is_missed_between_replay_and_follow<G>(of: &Subject<G>) {
    let until = plus(now(), HOUR);
    of.store.log.append(&revoked("before", until)).await.unwrap();
    let replay = of.other.log.replay(now()).await.unwrap();
    of.store.log.append(&revoked("after", until)).await.unwrap();
    assert_eq!(replay.entries, [revoked("before", until)]);
    assert_eq!(follow(&of.other, &replay.position, LONG).await.1, [revoked("after", until)]);
}

async fn heartbeats_move_the_position_and_nothing_else<G>(of: &Subject<G>) {
    let start = of.other.log.replay(now()).await.unwrap().position;
    let beat = of.store.log.beat().await.unwrap();
    assert!(beat.id > start.id);
    assert_eq!(follow(&of.other, &start, LONG).await, (beat.clone(), vec![]));
    assert_eq!(follow(&of.other, &beat, NOW).await, (beat.clone(), vec![]));
    let replay = of.other.log.replay(now()).await.unwrap();
    assert_eq!((replay.position, replay.entries), (beat, vec![]));
}

async fn another_run_is_a_gap<G>(of: &Subject<G>) {
    let mut position = of.store.log.append(&revoked("a", plus(now(), HOUR))).await.unwrap();
    position.run = "another".into();
    assert!(is_gap(&of.store, &position).await);
}

async fn a_position_ahead_of_the_log_is_a_gap<G>(of: &Subject<G>) {
    let mut position = of.store.log.append(&revoked("a", plus(now(), HOUR))).await.unwrap();
    position.id.1 += 1;
    assert!(is_gap(&of.store, &position).await);
}

async fn many_entries_come_in_several_answers<G>(of: &Subject<G>) {
    let start = of.other.log.replay(now()).await.unwrap().position;
    let entries: Vec<_> = (0..1500).map(|n| revoked(&n.to_string(), plus(now(), HOUR))).collect();
    for entry in &entries {
        of.store.log.append(entry).await.unwrap();
    }
    let (position, mut found) = follow(&of.other, &start, LONG).await;
    assert!(found.len() < entries.len());
    found.extend(follow(&of.other, &position, LONG).await.1);
    assert_eq!(found, entries);
}
