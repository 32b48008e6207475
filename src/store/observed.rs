//! Reports every call to the observer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    ApiKeys, Backend, Followed, ForeignRecord, ForeignSessions, Position, RecordKind, Replay, Replays, Reply,
    RevocationLog, Sessions, Store,
};
use crate::model::{ApiKeyRecord, LogEntry, Observer, Principal, SessionRecord, Timestamp};

/// The same store; each of its calls is reported with how long it took and whether it succeeded.
pub(super) fn observed(store: Store, observer: Arc<dyn Observer>) -> Store {
    let observed = Arc::new(Observed { store, observer });
    Store {
        sessions: Arc::clone(&observed) as _,
        api_keys: Arc::clone(&observed) as _,
        log: Arc::clone(&observed) as _,
        replays: Arc::clone(&observed) as _,
        foreign: Arc::clone(&observed) as _,
        backend: observed,
    }
}

struct Observed {
    store: Store,
    observer: Arc<dyn Observer>,
}

impl Observed {
    fn call<'a, T: 'a>(&'a self, operation: &'static str, call: Reply<'a, T>) -> Reply<'a, T> {
        Box::pin(async move {
            let began = Instant::now();
            let result = call.await;
            self.observer.store_call(operation, began.elapsed(), result.is_ok());
            result
        })
    }
}

impl Sessions for Observed {
    fn create<'a>(&'a self, secret_sha256: &'a [u8; 32], record: &'a SessionRecord) -> Reply<'a, u64> {
        self.call("session.create", self.store.sessions.create(secret_sha256, record))
    }

    fn next_generation<'a>(&'a self, of: &'a Principal, until: Timestamp) -> Reply<'a, u64> {
        self.call("session.next_generation", self.store.sessions.next_generation(of, until))
    }

    fn find<'a>(&'a self, secret_sha256: &'a [u8; 32], now: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        self.call("session.find", self.store.sessions.find(secret_sha256, now))
    }

    fn find_by_id<'a>(&'a self, id: &'a str, now: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        self.call("session.find_by_id", self.store.sessions.find_by_id(id, now))
    }

    fn touch<'a>(&'a self, secret_sha256: &'a [u8; 32], at: Timestamp) -> Reply<'a, bool> {
        self.call("session.touch", self.store.sessions.touch(secret_sha256, at))
    }

    fn list<'a>(&'a self, of: Option<&'a Principal>, now: Timestamp) -> Reply<'a, Vec<SessionRecord>> {
        self.call("session.list", self.store.sessions.list(of, now))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Reply<'a, Option<SessionRecord>> {
        self.call("session.remove", self.store.sessions.remove(id))
    }
}

impl ApiKeys for Observed {
    fn create<'a>(&'a self, record: &'a ApiKeyRecord) -> Reply<'a, ()> {
        self.call("api_key.create", self.store.api_keys.create(record))
    }

    fn find<'a>(&'a self, id: &'a str) -> Reply<'a, Option<ApiKeyRecord>> {
        self.call("api_key.find", self.store.api_keys.find(id))
    }

    fn list(&self) -> Reply<'_, Vec<ApiKeyRecord>> {
        self.call("api_key.list", self.store.api_keys.list())
    }

    fn revoke<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, Option<ApiKeyRecord>> {
        self.call("api_key.revoke", self.store.api_keys.revoke(id, at))
    }

    fn touch<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, ()> {
        self.call("api_key.touch", self.store.api_keys.touch(id, at))
    }
}

impl ForeignSessions for Observed {
    fn read<'a>(&'a self, key: &'a str, kind: RecordKind, most: usize) -> Reply<'a, ForeignRecord> {
        self.call("foreign_session.read", self.store.foreign.read(key, kind, most))
    }
}

impl RevocationLog for Observed {
    fn append<'a>(&'a self, entry: &'a LogEntry) -> Reply<'a, Position> {
        self.call("log.append", self.store.log.append(entry))
    }

    fn replay(&self, now: Timestamp) -> Reply<'_, Replay> {
        self.call("log.replay", self.store.log.replay(now))
    }

    fn follow<'a>(&'a self, after: &'a Position, wait: Duration) -> Reply<'a, Followed> {
        self.call("log.follow", self.store.log.follow(after, wait))
    }

    fn beat(&self) -> Reply<'_, Position> {
        self.call("log.beat", self.store.log.beat())
    }
}

impl Replays for Observed {
    fn first_use<'a>(&'a self, digest: &'a [u8; 32], keep: Duration) -> Reply<'a, bool> {
        self.call("replay.first_use", self.store.replays.first_use(digest, keep))
    }
}

impl Backend for Observed {
    fn ping(&self) -> Reply<'_, ()> {
        self.call("ping", self.store.backend.ping())
    }

    fn handle(&self) -> Store {
        observed(self.store.handle(), Arc::clone(&self.observer))
    }
}
