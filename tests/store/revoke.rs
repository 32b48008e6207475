//! Revoking sessions and keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::model::settings::{StoreKind, StoreSettings};
use portcullis::model::{LogEntry, Observer, Revocation, SystemClock, Timestamp};
use portcullis::store::{Followed, Position, Replay, Reply, RevocationLog, Store, StoreError};

use super::records::{api_key, digest, session};
use super::{SECOND, Subject, every_store, now, plus};

every_store! {
    a_revoked_session_is_in_the_log_and_gone
    a_revoked_key_is_in_the_log_and_marked
    what_is_not_there_is_not_revoked
    f34_a_log_that_fails_fails_the_revocation
}

async fn a_revoked_session_is_in_the_log_and_gone<G>(of: &Subject<G>) {
    let record = session("s1", "ada", now());
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    assert_eq!(of.store.revoke_session("s1", now()).await.unwrap().as_ref(), Some(&record));
    let expected =
        LogEntry { what: Revocation::Session { id: "s1".into() }, until: plus(record.expires_at, 60 * SECOND) };
    assert_eq!(of.other.log.replay(now()).await.unwrap().entries, [expected]);
    assert_eq!(of.other.sessions.find(&digest(1), now()).await.unwrap(), None);
    assert_eq!(of.other.revoke_session("s1", now()).await.unwrap(), None);
}

async fn a_revoked_key_is_in_the_log_and_marked<G>(of: &Subject<G>) {
    let mut ends = api_key("ends", now());
    ends.expires_at = Some(plus(now(), 5000));
    let untils = [(api_key("stays", now()), Timestamp::NEVER), (ends, plus(now(), 5000))];
    for (record, least) in untils {
        of.store.api_keys.create(&record).await.unwrap();
        let revoked = of.store.revoke_api_key(&record.id, now()).await.unwrap().unwrap();
        assert!(revoked.revoked_at.is_some());
        assert_eq!(of.other.api_keys.find(&record.id).await.unwrap(), Some(revoked));
        let what = Revocation::ApiKey { id: Arc::clone(&record.id) };
        let live = of.other.log.replay(now()).await.unwrap().entries;
        assert!(live.iter().any(|e| e.what == what && e.until >= least), "{live:?}");
    }
}

async fn what_is_not_there_is_not_revoked<G>(of: &Subject<G>) {
    assert_eq!(of.store.revoke_session("s1", now()).await.unwrap(), None);
    assert_eq!(of.store.revoke_api_key("k1", now()).await.unwrap(), None);
    assert_eq!(of.store.log.replay(now()).await.unwrap().entries, []);
}

async fn f34_a_log_that_fails_fails_the_revocation<G>(of: &Subject<G>) {
    let record = session("s1", "ada", now());
    of.store.sessions.create(&digest(1), &record).await.unwrap();
    of.store.api_keys.create(&api_key("k1", now())).await.unwrap();
    let broken = Store { log: Arc::new(BrokenLog), ..of.store.clone() };
    assert!(broken.revoke_session("s1", now()).await.is_err());
    assert!(broken.revoke_api_key("k1", now()).await.is_err());
    // Nothing looks revoked that other instances still admit, and the call can be made again.
    assert!(of.store.sessions.find(&digest(1), now()).await.unwrap().is_some());
    assert_eq!(of.store.api_keys.find("k1").await.unwrap().unwrap().revoked_at, None);
    assert_eq!(of.store.revoke_session("s1", now()).await.unwrap(), Some(record));
}

pub struct BrokenLog;

impl RevocationLog for BrokenLog {
    fn append<'a>(&'a self, _: &'a LogEntry) -> Reply<'a, Position> {
        Box::pin(async { Err(StoreError::Timeout(Duration::ZERO)) })
    }

    fn replay(&self, _: Timestamp) -> Reply<'_, Replay> {
        Box::pin(async { Err(StoreError::Timeout(Duration::ZERO)) })
    }

    fn follow<'a>(&'a self, _: &'a Position, _: Duration) -> Reply<'a, Followed> {
        Box::pin(async { Err(StoreError::Timeout(Duration::ZERO)) })
    }

    fn beat(&self) -> Reply<'_, Position> {
        Box::pin(async { Err(StoreError::Timeout(Duration::ZERO)) })
    }
}

#[derive(Default)]
struct Notes(Mutex<Vec<(&'static str, bool)>>);

impl Observer for Notes {
    fn store_call(&self, operation: &'static str, _: Duration, ok: bool) {
        self.0.lock().unwrap().push((operation, ok));
    }
}

#[tokio::test]
async fn every_call_is_observed_on_every_handle() {
    let notes = Arc::new(Notes::default());
    let settings = StoreSettings {
        kind: StoreKind::Memory { file: None },
        prefix: String::new(),
        timeout: Duration::ZERO,
        replicas: 1,
    };
    let store = Store::open(&settings, Arc::new(SystemClock), Arc::clone(&notes) as _).unwrap();
    store.ping().await.unwrap();
    store.api_keys.create(&api_key("k1", now())).await.unwrap();
    store.handle().api_keys.create(&api_key("k1", now())).await.unwrap_err();
    store.revoke_session("s1", now()).await.unwrap();
    let expected = [("ping", true), ("api_key.create", true), ("api_key.create", false), ("session.find_by_id", true)];
    assert_eq!(*notes.0.lock().unwrap(), expected);
}
