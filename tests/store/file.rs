//! The file that keeps a store in memory through a restart.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{StoreKind, StoreSettings};
use portcullis::model::{Clock, Timestamp};
use portcullis::store::{Followed, Store, StoreError};

use super::records::{api_key, digest, revoked, session};
use super::{HOUR, SECOND, now, plus};

struct Hand(AtomicU64);

impl Hand {
    fn at(time: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(time.0)))
    }

    fn forward(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

fn open(file: Option<&Path>, clock: Arc<Hand>) -> Result<Store, StoreError> {
    let kind = StoreKind::Memory { file: file.map(PathBuf::from) };
    let settings = StoreSettings { kind, prefix: "pc:".into(), timeout: Duration::from_secs(20), replicas: 1 };
    Store::open(&settings, clock, Arc::new(Unobserved))
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let (began, clock) = (now(), Hand::at(now()));
    let record = session("s1", "ada", began);
    let store = open(Some(&path), Arc::clone(&clock)).unwrap();
    store.sessions.create(&digest(1), &record).await.unwrap();
    store.sessions.create(&digest(2), &session("s2", "ada", began)).await.unwrap();
    store.api_keys.create(&api_key("k1", began)).await.unwrap();
    store.revoke_session("s2", began).await.unwrap().unwrap();
    let revoked_key = store.revoke_api_key("k1", began).await.unwrap();
    let position = store.log.append(&revoked("ever", Timestamp::NEVER)).await.unwrap();
    let live = store.log.replay(began).await.unwrap().entries;
    drop(store);

    let store = open(Some(&path), clock).unwrap();
    assert_eq!(store.sessions.list(None, began).await.unwrap(), std::slice::from_ref(&record));
    assert_eq!(store.sessions.find(&digest(1), began).await.unwrap(), Some(record));
    assert_eq!(store.api_keys.find("k1").await.unwrap(), revoked_key);
    let replayed = store.log.replay(began).await.unwrap().entries;
    assert_eq!(replayed.len(), 3);
    assert!(live.iter().all(|entry| replayed.contains(entry)));
    assert!(matches!(store.log.follow(&position, Duration::ZERO).await.unwrap(), Followed::Gap));
}

#[tokio::test]
async fn a_session_of_the_file_still_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let (began, clock) = (now(), Hand::at(now()));
    let store = open(Some(&path), Arc::clone(&clock)).unwrap();
    store.sessions.create(&digest(1), &session("s1", "ada", began)).await.unwrap();
    store.log.append(&revoked("a", plus(began, HOUR))).await.unwrap();
    drop(store);
    clock.forward(2 * HOUR);
    let store = open(Some(&path), clock).unwrap();
    assert_eq!(store.sessions.list(None, began).await.unwrap(), []);
    assert_eq!(store.log.replay(began).await.unwrap().entries, []);
}

#[tokio::test]
async fn uses_are_written_together_and_soon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let (began, clock) = (now(), Hand::at(now()));
    let store = open(Some(&path), Arc::clone(&clock)).unwrap();
    store.sessions.create(&digest(1), &session("s1", "ada", began)).await.unwrap();
    let written = std::fs::read(&path).unwrap();
    assert!(store.sessions.touch(&digest(1), plus(began, 1)).await.unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), written);
    clock.forward(10 * SECOND);
    assert!(store.sessions.touch(&digest(1), plus(began, 2)).await.unwrap());
    drop(store);
    let store = open(Some(&path), clock).unwrap();
    assert_eq!(store.sessions.find(&digest(1), began).await.unwrap().unwrap().seen_at, plus(began, 2));
}

#[tokio::test]
async fn only_its_owner_can_read_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let store = open(Some(&path), Hand::at(now())).unwrap();
    store.api_keys.create(&api_key("k1", now())).await.unwrap();
    store.api_keys.create(&api_key("k2", now())).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["state.json", "state.json.lock"]);
}

#[tokio::test]
async fn a_damaged_file_is_refused_named_not_quoted_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let store = open(Some(&path), Hand::at(now())).unwrap();
    store.sessions.create(&digest(1), &session("canary", "canary", now())).await.unwrap();
    store.api_keys.create(&api_key("canary", now())).await.unwrap();
    drop(store);
    let whole = std::fs::read_to_string(&path).unwrap();
    let damages = [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        whole.replacen("\"version\":1", "\"version\":2", 1),
        whole.replacen("\"principal\":", "\"principal\":\"canary\",\"was\":", 1),
        whole.replacen(&"01".repeat(32), "canary", 1),
        whole.replacen("\"version\"", "\"canary\":1,\"version\"", 1),
        whole.replace("\"id\":\"canary\"", "\"id\":7"),
    ];
    for damaged in damages {
        assert_ne!(damaged, whole);
        std::fs::write(&path, &damaged).unwrap();
        let Err(error) = open(Some(&path), Hand::at(now())) else { panic!("accepted: {damaged}") };
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("state.json"), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    }
    std::fs::write(&path, whole).unwrap();
    assert!(open(Some(&path), Hand::at(now())).is_ok());
}

#[tokio::test]
async fn a_file_has_one_owner_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let first = open(Some(&path), Hand::at(now())).unwrap();
    let Err(error) = open(Some(&path), Hand::at(now())) else { panic!("two owners") };
    assert!(matches!(&error, StoreError::Misconfigured(text) if text.contains("in use")), "{error:?}");
    drop(first);
    assert!(open(Some(&path), Hand::at(now())).is_ok());
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("state.json");
    let Err(error) = open(Some(&path), Hand::at(now())) else { panic!("opened") };
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn f34_a_revocation_that_cannot_be_written_fails_and_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let store = open(Some(&inner.join("state.json")), Hand::at(now())).unwrap();
    let start = store.log.replay(now()).await.unwrap().position;
    std::fs::remove_dir_all(&inner).unwrap();
    let entry = revoked("a", plus(now(), HOUR));
    let error = store.log.append(&entry).await.unwrap_err();
    assert!(error.to_string().contains("state.json"), "{error}");
    let Followed::Entries { entries, .. } = store.log.follow(&start, Duration::ZERO).await.unwrap() else {
        panic!("a gap")
    };
    assert_eq!(entries, [entry]);
}

#[tokio::test]
async fn a_log_in_memory_is_trimmed_to_an_hour() {
    let clock = Hand::at(now());
    let store = open(None, Arc::clone(&clock)).unwrap();
    let start = store.log.replay(now()).await.unwrap().position;
    let first = store.log.append(&revoked("a", Timestamp::NEVER)).await.unwrap();
    clock.forward(HOUR + 1);
    store.log.beat().await.unwrap();
    let Followed::Entries { entries, .. } = store.log.follow(&first, Duration::ZERO).await.unwrap() else {
        panic!("nothing after the first entry is lost")
    };
    assert_eq!(entries, []);
    assert!(matches!(store.log.follow(&start, Duration::ZERO).await.unwrap(), Followed::Gap));
}
