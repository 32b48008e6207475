//! The data itself.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::expiries::Expiries;
use super::file::{Saved, SavedSession, VERSION};
use super::generations::Generations;
use super::replays::Used;
use crate::model::{ApiKeyRecord, Entropy, LogEntry, Revocation, SessionRecord, SystemEntropy, Timestamp};
use crate::store::log::{KEPT, Position};

/// How many ended things one change clears away, so that none pays for all.
const SWEPT_AT_ONCE: usize = 32;
/// What the log holds at most; whoever is further behind replays.
const LOG_ENTRIES: usize = 65_536;

pub(super) struct State {
    /// By the SHA-256 of the secret.
    pub(super) sessions: HashMap<[u8; 32], SessionRecord>,
    /// From public id to the SHA-256 of the secret.
    pub(super) session_ids: HashMap<Arc<str>, [u8; 32]>,
    session_ends: Expiries<[u8; 32]>,
    /// Not in the file: sessions and live entries say how far each has come.
    pub(super) generations: Generations,
    pub(super) api_keys: BTreeMap<Arc<str>, ApiKeyRecord>,
    /// What is revoked, and until when that must be known.
    pub(super) live: HashMap<Revocation, Timestamp>,
    live_ends: Expiries<Revocation>,
    /// Entries with their ids; `None` is a heartbeat.
    pub(super) log: VecDeque<((u64, u64), Option<LogEntry>)>,
    /// The last id that was given out.
    last: (u64, u64),
    /// The last id that is not in the log any more.
    trimmed: (u64, u64),
    run: Arc<str>,
    pub(super) used: Used,
    /// Counts changes, so that the file knows whether it is behind.
    pub(super) version: u64,
}

impl State {
    pub(super) fn empty() -> Self {
        let mut random = [0; 16];
        SystemEntropy.fill(&mut random);
        Self {
            sessions: HashMap::new(),
            session_ids: HashMap::new(),
            session_ends: Expiries::new(),
            generations: Generations::new(),
            api_keys: BTreeMap::new(),
            live: HashMap::new(),
            live_ends: Expiries::new(),
            log: VecDeque::new(),
            last: (0, 0),
            trimmed: (0, 0),
            run: format!("{:032x}", u128::from_be_bytes(random)).into(),
            used: Used::none(),
            version: 0,
        }
    }

    /// What was saved, less what has ended since; an `Err` names what cannot be.
    pub(super) fn from_saved(saved: Saved, now: Timestamp) -> Result<Self, String> {
        let mut state = Self::empty();
        for SavedSession { secret_sha256, record } in saved.sessions {
            let id = Arc::clone(&record.id);
            if record.ends_at() > now && !state.add_session(secret_sha256, record) {
                return Err(format!("session `{id}` stands twice"));
            }
        }
        for key in saved.api_keys {
            if let Some(twice) = state.api_keys.insert(Arc::clone(&key.id), key) {
                return Err(format!("API key `{}` stands twice", twice.id));
            }
        }
        for entry in saved.revoked.into_iter().filter(|entry| entry.until > now) {
            state.add_live(&entry);
        }
        Ok(state)
    }

    /// What the file is to hold.
    pub(super) fn saved(&self) -> Saved {
        let sessions = self.sessions.iter();
        let live = self.live.iter();
        Saved {
            version: VERSION,
            sessions: sessions
                .map(|(digest, record)| SavedSession { secret_sha256: *digest, record: record.clone() })
                .collect(),
            api_keys: self.api_keys.values().cloned().collect(),
            revoked: live.map(|(what, until)| LogEntry { what: what.clone(), until: *until }).collect(),
        }
    }

    /// `false` where the secret or the id is taken.
    pub(super) fn add_session(&mut self, digest: [u8; 32], record: SessionRecord) -> bool {
        if self.sessions.contains_key(&digest) || self.session_ids.contains_key(&record.id) {
            return false;
        }
        self.session_ends.push(record.ends_at(), digest);
        self.generations.raise(&record.principal, record.generation, record.expires_at);
        self.session_ids.insert(Arc::clone(&record.id), digest);
        self.sessions.insert(digest, record);
        true
    }

    pub(super) fn remove_session(&mut self, digest: &[u8; 32]) -> Option<SessionRecord> {
        let record = self.sessions.remove(digest)?;
        self.session_ids.remove(&record.id);
        Some(record)
    }

    /// Adds to the live set; an entry that is there already only ever lives longer.
    pub(super) fn add_live(&mut self, entry: &LogEntry) {
        if let Revocation::Sessions { principal, generation } = &entry.what {
            self.generations.raise(principal, *generation, entry.until);
        }
        let until = self.live.entry(entry.what.clone()).or_insert(Timestamp(0));
        if *until < entry.until {
            *until = entry.until;
            self.live_ends.push(entry.until, entry.what.clone());
        }
    }

    /// Announces an entry, or a heartbeat.
    pub(super) fn announce(&mut self, entry: Option<LogEntry>, now: Timestamp) -> Position {
        self.last = if now.0 > self.last.0 { (now.0, 0) } else { (self.last.0, self.last.1 + 1) };
        self.log.push_back((self.last, entry));
        let oldest = now.before(KEPT).0;
        while let Some((id, _)) = self.log.front()
            && (id.0 < oldest || self.log.len() > LOG_ENTRIES)
        {
            self.trimmed = *id;
            self.log.pop_front();
        }
        self.position()
    }

    pub(super) fn position(&self) -> Position {
        Position { run: Arc::clone(&self.run), id: self.last }
    }

    /// Whether everything after `position` is in the log.
    pub(super) fn reaches_back_to(&self, position: &Position) -> bool {
        position.run == self.run && self.trimmed <= position.id && position.id <= self.last
    }

    /// Clears away a bounded number of things that have ended.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEPT_AT_ONCE {
            let Some(digest) = self.session_ends.pop_due(now) else { break };
            match self.sessions.get(&digest).map(SessionRecord::ends_at) {
                Some(end) if end > now => self.session_ends.push(end, digest),
                Some(_) => drop(self.remove_session(&digest)),
                None => {}
            }
        }
        for _ in 0..SWEPT_AT_ONCE {
            let Some(what) = self.live_ends.pop_due(now) else { break };
            if self.live.get(&what).is_some_and(|until| *until <= now) {
                self.live.remove(&what);
            }
        }
        self.generations.sweep(SWEPT_AT_ONCE, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, until: u64) -> LogEntry {
        LogEntry { what: Revocation::Session { id: id.to_string().into() }, until: Timestamp(until) }
    }

    #[test]
    fn ids_rise_even_when_the_clock_stands_or_goes_back() {
        let mut state = State::empty();
        let ids: Vec<_> = [5, 5, 3, 9].map(|now| state.announce(None, Timestamp(now)).id).to_vec();
        assert_eq!(ids, [(5, 0), (5, 1), (5, 2), (9, 0)]);
    }

    #[test]
    fn what_has_ended_is_swept_a_bounded_number_at_a_time() {
        let mut state = State::empty();
        for id in 0..100 {
            state.add_live(&entry(id, 10));
        }
        state.add_live(&entry(100, 11));
        state.sweep(Timestamp(10));
        assert_eq!(state.live.len(), 101 - SWEPT_AT_ONCE);
        for _ in 0..10 {
            state.sweep(Timestamp(10));
        }
        assert_eq!(state.live.len(), 1);
    }

    #[test]
    fn an_entry_that_was_prolonged_outlives_its_first_end() {
        let mut state = State::empty();
        state.add_live(&entry(1, 10));
        state.add_live(&entry(1, 30));
        state.add_live(&entry(1, 20));
        state.sweep(Timestamp(29));
        assert_eq!(state.live.len(), 1);
        state.sweep(Timestamp(30));
        assert!(state.live.is_empty());
    }

    #[test]
    fn the_log_is_bounded() {
        let mut state = State::empty();
        let first = state.announce(None, Timestamp(1));
        for _ in 0..LOG_ENTRIES {
            state.announce(None, Timestamp(1));
        }
        assert_eq!(state.log.len(), LOG_ENTRIES);
        assert!(state.reaches_back_to(&first), "nothing after the first entry is lost");
        state.announce(None, Timestamp(1));
        assert!(!state.reaches_back_to(&first));
    }
}
