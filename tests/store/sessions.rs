//! Sessions.

use portcullis::model::{Principal, SessionRecord};
use portcullis::store::StoreError;

use super::records::{digest, session};
use super::{HOUR, Subject, every_store, minus, now, plus};

every_store! {
    a_session_is_found_by_its_secret_and_by_its_id_with_every_field
    a_session_ends_when_it_is_not_used
    a_touch_moves_the_idle_end_for_every_handle
    a_touch_never_moves_the_absolute_end
    a_touch_never_goes_back
    a_touch_never_revives_a_removed_session
    a_touch_never_revives_a_session_that_has_ended
    a_taken_secret_or_id_is_refused
    sessions_are_listed_by_principal_oldest_first
    ended_and_removed_sessions_are_not_listed
    many_sessions_are_listed
    a_removed_session_is_returned_as_it_was_and_gone
    an_end_far_away_does_no_harm
}

async fn a_session_is_found_by_its_secret_and_by_its_id_with_every_field<G>(of: &Subject<G>) {
    let record = session("s1", "ada", now());
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    for store in [&of.store, &of.other] {
        assert_eq!(store.sessions.find(&digest(1), now()).await.unwrap().as_ref(), Some(&record));
        assert_eq!(store.sessions.find_by_id("s1", now()).await.unwrap().as_ref(), Some(&record));
        assert_eq!(store.sessions.find(&digest(2), now()).await.unwrap(), None);
        assert_eq!(store.sessions.find_by_id("s2", now()).await.unwrap(), None);
    }
}

async fn a_session_ends_when_it_is_not_used<G>(of: &Subject<G>) {
    let record = session("s1", "ada", now());
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    let end = plus(record.seen_at, HOUR);
    assert!(of.store.sessions.find(&digest(1), minus(end, 1)).await.unwrap().is_some());
    assert!(of.store.sessions.find_by_id("s1", minus(end, 1)).await.unwrap().is_some());
    assert_eq!(of.store.sessions.find(&digest(1), end).await.unwrap(), None);
    assert_eq!(of.store.sessions.find_by_id("s1", end).await.unwrap(), None);
}

async fn a_touch_moves_the_idle_end_for_every_handle<G>(of: &Subject<G>) {
    let record = session("s1", "ada", now());
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    let used = plus(record.seen_at, HOUR / 2);
    assert!(of.store.sessions.touch(&digest(1), used).await.unwrap());
    let found = of.other.sessions.find(&digest(1), plus(record.seen_at, HOUR)).await.unwrap();
    assert_eq!(found, Some(SessionRecord { seen_at: used, ..record }));
}

async fn a_touch_never_moves_the_absolute_end<G>(of: &Subject<G>) {
    let mut record = session("s1", "ada", now());
    record.idle_ms = 24 * HOUR;
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    let last = minus(record.expires_at, 1);
    assert!(of.store.sessions.touch(&digest(1), last).await.unwrap());
    assert!(of.store.sessions.find(&digest(1), last).await.unwrap().is_some());
    assert_eq!(of.store.sessions.find(&digest(1), record.expires_at).await.unwrap(), None);
    assert!(!of.store.sessions.touch(&digest(1), record.expires_at).await.unwrap());
}

async fn a_touch_never_goes_back<G>(of: &Subject<G>) {
    let record = session("s1", "ada", now());
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    let later = plus(record.seen_at, HOUR / 2);
    assert!(of.store.sessions.touch(&digest(1), later).await.unwrap());
    assert!(of.store.sessions.touch(&digest(1), plus(record.seen_at, HOUR / 4)).await.unwrap());
    assert_eq!(of.store.sessions.find(&digest(1), now()).await.unwrap().unwrap().seen_at, later);
}

async fn a_touch_never_revives_a_removed_session<G>(of: &Subject<G>) {
    of.store.sessions.create(&digest(1), &session("s1", "ada", now())).await.unwrap();
    of.other.sessions.remove("s1").await.unwrap().unwrap();
    assert!(!of.store.sessions.touch(&digest(1), now()).await.unwrap());
    assert_eq!(of.store.sessions.find(&digest(1), now()).await.unwrap(), None);
    assert_eq!(of.store.sessions.list(None, now()).await.unwrap(), []);
}

async fn a_touch_never_revives_a_session_that_has_ended<G>(of: &Subject<G>) {
    let record = session("s1", "ada", now());
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    let ended = plus(record.seen_at, HOUR);
    assert!(!of.store.sessions.touch(&digest(1), ended).await.unwrap());
    assert_eq!(of.store.sessions.find(&digest(1), ended).await.unwrap(), None);
}

async fn a_taken_secret_or_id_is_refused<G>(of: &Subject<G>) {
    let record = session("s1", "ada", now());
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    for (secret, id) in [(1, "s2"), (2, "s1")] {
        let refused = of.store.sessions.create(&digest(secret), &session(id, "eve", now())).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    assert_eq!(of.store.sessions.find(&digest(1), now()).await.unwrap(), Some(record));
    assert_eq!(of.store.sessions.find(&digest(2), now()).await.unwrap(), None);
}

async fn sessions_are_listed_by_principal_oldest_first<G>(of: &Subject<G>) {
    let began = now();
    let mut elsewhere = session("s4", "ada", plus(began, 3));
    elsewhere.principal = Principal::new("https://other.example.com", "ada");
    let records =
        [session("s3", "ada", began), session("s1", "ada", plus(began, 2)), session("s2", "bob", plus(began, 1))];
    for (n, record) in (1..).zip(records.iter().chain([&elsewhere])) {
        of.store.sessions.create(&digest(n), record).await.unwrap();
    }
    let ids = |records: Vec<SessionRecord>| records.into_iter().map(|r| r.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(of.other.sessions.list(None, began).await.unwrap()), ["s3", "s2", "s1", "s4"]);
    let ada = of.other.sessions.list(Some(&records[0].principal), began).await.unwrap();
    assert_eq!(ids(ada), ["s3", "s1"]);
    let nobody =
        of.other.sessions.list(Some(&Principal::new("https://id.example.com", "nobody")), began).await.unwrap();
    assert_eq!(nobody, []);
}

async fn ended_and_removed_sessions_are_not_listed<G>(of: &Subject<G>) {
    let began = now();
    let mut short = session("s1", "ada", began);
    short.idle_ms = HOUR / 2;
    of.store.sessions.create(&digest(1), &short).await.unwrap();
    of.store.sessions.create(&digest(2), &session("s2", "ada", began)).await.unwrap();
    of.store.sessions.create(&digest(3), &session("s3", "ada", began)).await.unwrap();
    of.store.sessions.remove("s3").await.unwrap().unwrap();
    for principal in [None, Some(&short.principal)] {
        let listed = of.store.sessions.list(principal, plus(began, HOUR / 2)).await.unwrap();
        assert_eq!(listed.iter().map(|r| &*r.id).collect::<Vec<_>>(), ["s2"]);
    }
}

async fn many_sessions_are_listed<G>(of: &Subject<G>) {
    let began = now();
    for n in 0..600_u64 {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&n.to_be_bytes());
        of.store.sessions.create(&secret, &session(&format!("{n:04}"), "ada", plus(began, n))).await.unwrap();
    }
    let listed = of.store.sessions.list(Some(&Principal::new("https://id.example.com", "ada")), began).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|r| r.id.to_string()).collect();
    assert_eq!(ids, (0..600).map(|n| format!("{n:04}")).collect::<Vec<_>>());
}

async fn a_removed_session_is_returned_as_it_was_and_gone<G>(of: &Subject<G>) {
    let record = session("s1", "ada", now());
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    let used = plus(record.seen_at, 5);
    of.store.sessions.touch(&digest(1), used).await.unwrap();
    let removed = of.store.sessions.remove("s1").await.unwrap();
    assert_eq!(removed, Some(SessionRecord { seen_at: used, ..record.clone() }));
    for store in [&of.store, &of.other] {
        assert_eq!(store.sessions.find(&digest(1), now()).await.unwrap(), None);
        assert_eq!(store.sessions.find_by_id("s1", now()).await.unwrap(), None);
        assert_eq!(store.sessions.remove("s1").await.unwrap(), None);
    }
    of.store.sessions.create(&digest(1), &record).await.unwrap();
}

async fn an_end_far_away_does_no_harm<G>(of: &Subject<G>) {
    let mut record = session("s1", "ada", now());
    record.expires_at = portcullis::model::Timestamp::NEVER;
    record.idle_ms = u64::MAX;
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    assert!(of.store.sessions.touch(&digest(1), plus(record.seen_at, 1)).await.unwrap());
    let found = of.store.sessions.find(&digest(1), plus(now(), 1_000_000 * HOUR)).await.unwrap();
    assert_eq!(found, Some(SessionRecord { seen_at: plus(record.seen_at, 1), ..record }));
}
