//! Records of sessions and API keys with their whole history, and a log whose line can be cut.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Line;
use crate::gate::fixtures::HeldClock;
use crate::model::{ApiKeyRecord, Clock, LogEntry, Principal, SessionRecord, Timestamp};
use crate::store::{ApiKeys, Followed, Position, Replay, Reply, RevocationLog, Sessions, Store, StoreError};

/// One state of one record; none: it was not there.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The place in the order of all that happened.
    pub(super) from: u64,
    pub(super) at: Timestamp,
    pub(super) record: Option<Record>,
}

#[derive(Debug, Clone)]
pub(super) enum Record {
    Session(SessionRecord),
    Key(ApiKeyRecord),
}

/// What the store keeps, and what it ever kept.
pub(super) struct Records {
    clock: Arc<HeldClock>,
    /// By what it is found by, in the order of the model's credentials.
    by_credential: Mutex<Vec<(Vec<u8>, Vec<State>)>>,
    order: Mutex<u64>,
    pub(super) down: AtomicBool,
    /// By credential, when the gate last heard of it, and what.
    reads: Mutex<HashMap<usize, State>>,
    /// Reads take until this is false.
    pub(super) held: AtomicBool,
    pub(super) released: tokio::sync::Notify,
}

impl Records {
    pub(super) fn new(clock: Arc<HeldClock>) -> Self {
        Self {
            clock,
            by_credential: Mutex::default(),
            order: Mutex::default(),
            down: AtomicBool::default(),
            reads: Mutex::default(),
            held: AtomicBool::default(),
            released: tokio::sync::Notify::new(),
        }
    }

    pub(super) fn add(&self, found_by: &[u8], at: Timestamp, record: Option<Record>) {
        let states = vec![State { from: self.now(), at, record }];
        self.by_credential.lock().unwrap().push((found_by.to_vec(), states));
    }

    /// The place in the order of all that happens.
    pub(super) fn now(&self) -> u64 {
        *self.order.lock().unwrap()
    }

    /// Something has happened.
    pub(super) fn next(&self) -> u64 {
        let mut order = self.order.lock().unwrap();
        *order += 1;
        *order
    }

    pub(super) fn change(&self, one: usize, at: Timestamp, change: impl FnOnce(&mut Option<Record>)) {
        let from = self.next();
        let mut all = self.by_credential.lock().unwrap();
        let states = &mut all[one].1;
        let mut record = states.last().unwrap().record.clone();
        change(&mut record);
        states.push(State { from, at, record });
    }

    pub(super) fn history(&self, one: usize) -> Vec<State> {
        self.by_credential.lock().unwrap()[one].1.clone()
    }

    /// When the gate last heard of a credential, by a read or because a use could not be noted, and what was there.
    pub(super) fn last_read(&self, one: usize) -> Option<State> {
        self.reads.lock().unwrap().get(&one).cloned()
    }

    fn position(&self, found_by: &[u8]) -> Option<usize> {
        self.by_credential.lock().unwrap().iter().position(|(key, _)| key == found_by)
    }

    fn find(&self, found_by: &[u8]) -> Option<Record> {
        let one = self.position(found_by)?;
        let record = self.by_credential.lock().unwrap()[one].1.last()?.record.clone();
        if !self.down.load(Ordering::SeqCst) {
            self.told(one, record.clone());
        }
        record
    }

    /// The gate hears what there is of a credential.
    fn told(&self, one: usize, record: Option<Record>) {
        let read = State { from: self.next(), at: self.clock.now(), record };
        self.reads.lock().unwrap().insert(one, read);
    }

    /// Brings nothing back that has ended.
    fn touch(&self, found_by: &[u8], at: Timestamp) -> bool {
        let Some(one) = self.position(found_by) else { return false };
        match self.history(one).pop().and_then(|state| state.record) {
            Some(Record::Session(session)) if session.ends_at() <= at => return false,
            None => return false,
            Some(_) => {}
        }
        self.change(one, at, |record| match record {
            Some(Record::Session(session)) => session.seen_at = session.seen_at.max(at),
            Some(Record::Key(key)) => key.used_at = Some(at),
            None => {}
        });
        true
    }

    fn reply<'a, T: Send + 'a>(&'a self, value: T) -> Reply<'a, T> {
        let down = self.down.load(Ordering::SeqCst);
        Box::pin(async move {
            loop {
                let released = self.released.notified();
                if !self.held.load(Ordering::SeqCst) {
                    break;
                }
                released.await;
            }
            if down { Err(StoreError::Unreachable("gone".into())) } else { Ok(value) }
        })
    }
}

impl Sessions for Records {
    fn create<'a>(&'a self, _: &'a [u8; 32], _: &'a SessionRecord) -> Reply<'a, u64> {
        unreachable!("the model makes its own")
    }
    fn next_generation<'a>(&'a self, _: &'a Principal, _: Timestamp) -> Reply<'a, u64> {
        unreachable!("the model has its own")
    }
    fn find<'a>(&'a self, secret: &'a [u8; 32], now: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        self.reply(match Records::find(self, secret) {
            Some(Record::Session(session)) if session.ends_at() > now => Some(session),
            _ => None,
        })
    }
    fn find_by_id<'a>(&'a self, _: &'a str, _: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        unreachable!("nobody asks")
    }
    fn touch<'a>(&'a self, secret: &'a [u8; 32], at: Timestamp) -> Reply<'a, bool> {
        let down = self.down.load(Ordering::SeqCst);
        let there = !down && Records::touch(self, secret, at);
        if let (false, false, Some(one)) = (down, there, self.position(secret)) {
            // As good as a read that finds nothing: the cache forgets the session.
            self.told(one, None);
        }
        self.reply(there)
    }
    fn list<'a>(&'a self, _: Option<&'a Principal>, _: Timestamp) -> Reply<'a, Vec<SessionRecord>> {
        unreachable!("nobody asks")
    }
    fn remove<'a>(&'a self, _: &'a str) -> Reply<'a, Option<SessionRecord>> {
        unreachable!("the model does so itself")
    }
}

impl ApiKeys for Records {
    fn create<'a>(&'a self, _: &'a ApiKeyRecord) -> Reply<'a, ()> {
        unreachable!("the model makes its own")
    }
    fn find<'a>(&'a self, id: &'a str) -> Reply<'a, Option<ApiKeyRecord>> {
        self.reply(match Records::find(self, id.as_bytes()) {
            Some(Record::Key(key)) => Some(key),
            _ => None,
        })
    }
    fn list(&self) -> Reply<'_, Vec<ApiKeyRecord>> {
        unreachable!("nobody asks")
    }
    fn revoke<'a>(&'a self, _: &'a str, _: Timestamp) -> Reply<'a, Option<ApiKeyRecord>> {
        unreachable!("the model does so itself")
    }
    fn touch<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, ()> {
        if !self.down.load(Ordering::SeqCst) {
            Records::touch(self, id.as_bytes(), at);
        }
        self.reply(())
    }
}

/// The log as the instance reaches it.
pub(super) struct Wire {
    pub(super) line: Mutex<Line>,
    /// As it is at its own place; another after its data were lost.
    pub(super) store: ArcSwap<Store>,
    /// How often it was read from the beginning.
    pub(super) replays: AtomicU64,
}

impl Wire {
    fn over<'a, T: Send + 'a>(&self, call: impl FnOnce(Arc<Store>) -> Reply<'a, T>) -> Reply<'a, T> {
        if *self.line.lock().unwrap() == Line::Cut {
            return Box::pin(async { Err(StoreError::Unreachable("cut".into())) });
        }
        call(self.store.load_full())
    }
}

impl RevocationLog for Wire {
    fn append<'a>(&'a self, entry: &'a LogEntry) -> Reply<'a, Position> {
        self.over(|store| Box::pin(async move { store.log.append(entry).await }))
    }
    fn replay(&self, now: Timestamp) -> Reply<'_, Replay> {
        self.over(|store| {
            self.replays.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { store.log.replay(now).await })
        })
    }
    fn follow<'a>(&'a self, after: &'a Position, _: Duration) -> Reply<'a, Followed> {
        if *self.line.lock().unwrap() == Line::Lagging {
            let nothing = Followed::Entries { position: after.clone(), entries: vec![] };
            return Box::pin(async { Ok(nothing) });
        }
        self.over(|store| Box::pin(async move { store.log.follow(after, Duration::ZERO).await }))
    }
    fn beat(&self) -> Reply<'_, Position> {
        self.over(|store| Box::pin(async move { store.log.beat().await }))
    }
}
