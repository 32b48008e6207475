//! What may be accepted and what may be refused, by somebody who remembers everything and caches nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::credentials::{BOUND, CREDENTIALS, PLAIN, fingerprint};
use super::records::{Record, Records, State};
use super::world::MAX_STALENESS;
use super::{Keys, Route};
use crate::crypto::digest::hex;
use crate::gate::tests::bench::NOW;
use crate::model::denial::Reason;
use crate::model::{CredentialKind, Revocation, Timestamp};

/// What the store says is believed for so long, unless a change is announced.
const STORED_FOR: Duration = Duration::from_secs(60);
/// That there is no such record, likewise.
const UNKNOWN_FOR: Duration = Duration::from_secs(2);
/// Heartbeats are so far apart, so that what was read may be older than the reading of it.
const BEAT: Duration = Duration::from_secs(1);
const LEEWAY: Duration = Duration::from_secs(30);

pub(super) struct Oracle {
    records: Arc<Records>,
    ids: Vec<Arc<str>>,
    entries: Vec<Entry>,
    /// By credential: what was read of it before then does not count.
    barriers: Vec<u64>,
    followed_at: Option<Timestamp>,
    pub(super) keys: Keys,
}

#[derive(Clone)]
struct Entry {
    what: Revocation,
    at: Timestamp,
    /// Whether the log has it, and whether the instance does.
    in_log: bool,
    known: bool,
}

/// What was so at one moment, as far as one credential is concerned.
pub(super) struct Moment {
    now: Timestamp,
    keys: Keys,
    /// Those that revoke it.
    revoked_by: Vec<Entry>,
    followed_at: Option<Timestamp>,
    barrier: u64,
    down: bool,
    /// Whether what the cache holds is enough.
    cached: bool,
}

impl Oracle {
    pub(super) fn new(records: Arc<Records>, ids: Vec<Arc<str>>) -> Self {
        let barriers = vec![0; ids.len()];
        Self { records, ids, entries: vec![], barriers, followed_at: None, keys: Keys::Both }
    }

    pub(super) fn appended(&mut self, what: Revocation, at: Timestamp) {
        self.entries.push(Entry { what, at, in_log: true, known: false });
    }

    /// The instance has read all there was to read; `replayed`: from the beginning.
    pub(super) fn followed(&mut self, replayed: bool, now: Timestamp) {
        self.followed_at = Some(now);
        let barrier = self.records.next();
        for entry in self.entries.iter_mut().filter(|entry| entry.in_log && !entry.known) {
            entry.known = true;
            if let Revocation::Changed { id } | Revocation::Session { id } | Revocation::ApiKey { id } = &entry.what {
                let at = self.ids.iter().position(|one| one == id).unwrap();
                self.barriers[at] = barrier;
            }
        }
        if replayed {
            self.barriers.fill(barrier);
            // What the log had lost was written back.
            self.entries.iter_mut().for_each(|entry| entry.in_log |= entry.known);
        }
    }

    pub(super) fn log_is_lost(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.in_log = false);
    }

    pub(super) fn restarted(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.known = false);
        self.followed_at = None;
        self.evicted();
    }

    pub(super) fn evicted(&mut self) {
        let barrier = self.records.next();
        self.barriers.fill(barrier);
    }

    pub(super) fn moment(&self, one: usize, now: Timestamp) -> Moment {
        let barrier = self.barriers[one];
        let read = self.records.last_read(one);
        let cached = read.is_some_and(|State { from, at, record }| {
            from > barrier && now < at.after(STORED_FOR) && record.is_some_and(|record| is_good(&record, now))
        });
        Moment {
            now,
            keys: self.keys,
            revoked_by: self.entries.iter().filter(|entry| self.revokes(&entry.what, one)).cloned().collect(),
            followed_at: self.followed_at,
            barrier,
            down: self.records.down.load(Ordering::SeqCst),
            cached,
        }
    }

    fn revokes(&self, what: &Revocation, one: usize) -> bool {
        let (credential, id) = (&CREDENTIALS[one], &self.ids[one]);
        let is = |kind| credential.kind == kind;
        match what {
            Revocation::Token { id: other, .. } => is(CredentialKind::Jwt) && other == id,
            Revocation::Session { id: other } => is(CredentialKind::Session) && other == id,
            Revocation::ApiKey { id: other } => is(CredentialKind::ApiKey) && other == id,
            Revocation::Certificate { fingerprint: other } => {
                (is(CredentialKind::Mtls) || one == BOUND) && **other == *hex(&fingerprint())
            }
            Revocation::PrincipalBefore { principal, before } => {
                let says_when = one != PLAIN && !is(CredentialKind::Mtls);
                *principal == credential.principal() && (!says_when || NOW < *before)
            }
            Revocation::Sessions { principal, generation } => {
                is(CredentialKind::Session)
                    && *principal == credential.principal()
                    && credential.generation < *generation
            }
            Revocation::Family { .. } | Revocation::Changed { .. } => false,
        }
    }

    /// Whether the outcome is right as of one of these moments; several where other things happened meanwhile. The last
    /// is when revocation was asked about.
    pub(super) fn judge(
        &self,
        one: usize,
        route: Route,
        outcome: Result<(), Reason>,
        moments: &[Moment],
    ) -> Result<(), String> {
        let any = |problem: &dyn Fn(&Moment) -> Option<String>| {
            let problems: Option<Vec<String>> = moments.iter().map(problem).collect();
            problems.map_or(Ok(()), |problems| Err(format!("{}: {}", CREDENTIALS[one].name, problems.join("; "))))
        };
        match outcome {
            Err(reason) => any(&|moment| self.refused(one, route, reason, moment)),
            Ok(()) => {
                let last = moments.last().and_then(|moment| self.not_withdrawn(route, moment));
                if let Some(problem) = last {
                    return Err(format!("{}: {problem}", CREDENTIALS[one].name));
                }
                any(&|moment| self.proved(one, route, moment))
            }
        }
    }

    /// Why it may not be accepted, by what is revoked.
    fn not_withdrawn(&self, route: Route, moment: &Moment) -> Option<String> {
        let now = moment.now;
        if let Some(known) = moment.revoked_by.iter().find(|entry| entry.known) {
            return Some(format!("accepted although {:?} is known", known.what));
        }
        if route == Route::Lenient {
            return None;
        }
        let old = |at: Timestamp| now.since(at) > MAX_STALENESS;
        if let Some(entry) = moment.revoked_by.iter().find(|entry| entry.in_log && old(entry.at)) {
            return Some(format!("accepted although {:?} was {:?} ago", entry.what, now.since(entry.at)));
        }
        let unknown = moment.followed_at.is_none_or(old);
        unknown.then(|| "accepted although nothing is known of revocations".to_owned())
    }

    /// Why it may not be accepted, by what it proves.
    fn proved(&self, one: usize, route: Route, moment: &Moment) -> Option<String> {
        let (credential, now) = (&CREDENTIALS[one], moment.now);
        if credential.kind == CredentialKind::Jwt {
            return self.token(one, moment).map(|reason| format!("accepted, {reason:?} is wanted"));
        }
        let states = self.believed(one, moment);
        let fine =
            |state: &State| state.record.as_ref().is_some_and(|record| is_good(record, now) && fits(record, route));
        (credential.is_stored() && !states.iter().any(fine)).then(|| format!("accepted by none of {states:?}"))
    }

    /// Why it may not be refused for this reason.
    fn refused(&self, one: usize, route: Route, reason: Reason, moment: &Moment) -> Option<String> {
        use Reason::{
            ApiKeyExpired, ApiKeyUnknown, InsufficientScope, NotAllowed, RevocationStale, Revoked, SessionExpired,
            SessionUnknown, StoreUnavailable, TokenExpired, TokenKeyUnknown,
        };
        let (credential, now) = (&CREDENTIALS[one], moment.now);
        let states = self.believed(one, moment);
        let right = match reason {
            RevocationStale => {
                route != Route::Lenient
                    && moment.followed_at.is_none_or(|at| now.since(at).saturating_add(BEAT) > MAX_STALENESS)
            }
            Revoked => {
                let by_record =
                    |state: &State| matches!(&state.record, Some(Record::Key(key)) if key.revoked_at.is_some());
                moment.revoked_by.iter().any(|entry| entry.known) || states.iter().any(by_record)
            }
            StoreUnavailable => credential.is_stored() && moment.down && !moment.cached,
            TokenExpired | TokenKeyUnknown => self.token(one, moment) == Some(reason),
            SessionUnknown | SessionExpired | ApiKeyUnknown | ApiKeyExpired => {
                let gone = |state: &State| state.record.as_ref().is_none_or(|record| !is_good(record, now));
                let lately = self.since(one, u64::MAX, now.before(UNKNOWN_FOR));
                credential.is_stored() && states.iter().chain(&lately).any(gone)
            }
            NotAllowed | InsufficientScope => {
                let unfit = |state: &State| state.record.as_ref().is_some_and(|record| !fits(record, route));
                credential.is_stored() && states.iter().any(unfit)
            }
            _ => false,
        };
        (!right).then(|| format!("refused for {reason:?}, which is not so"))
    }

    /// Why a token does not count.
    fn token(&self, one: usize, moment: &Moment) -> Option<Reason> {
        let credential = &CREDENTIALS[one];
        let there = match moment.keys {
            Keys::Both => true,
            Keys::First => credential.key == "k1",
            Keys::Second => credential.key == "k2",
        };
        let ends = NOW.after(Duration::from_secs(credential.seconds)).after(LEEWAY);
        if ends <= moment.now {
            // Whichever is found first: a token of a key that is gone may not be read any further.
            return Some(if there { Reason::TokenExpired } else { Reason::TokenKeyUnknown });
        }
        (!there).then_some(Reason::TokenKeyUnknown)
    }

    /// The states that the gate may go by: those of since the last announcement, and of the last minute.
    fn believed(&self, one: usize, moment: &Moment) -> Vec<State> {
        self.since(one, moment.barrier, moment.now.before(STORED_FOR))
    }

    /// The state that is, and earlier ones that ended after both.
    fn since(&self, one: usize, order: u64, time: Timestamp) -> Vec<State> {
        let states = self.records.history(one);
        let ended: Vec<Option<(u64, Timestamp)>> =
            states.iter().skip(1).map(|next| Some((next.from, next.at))).chain([None]).collect();
        let counts = |end: &Option<(u64, Timestamp)>| {
            end.is_none_or(|(from, at)| (order == u64::MAX || from > order) && at > time)
        };
        states.into_iter().zip(ended).filter(|(_, end)| counts(end)).map(|(state, _)| state).collect()
    }
}

/// Whether the record opens anything.
fn is_good(record: &Record, now: Timestamp) -> bool {
    match record {
        Record::Session(session) => session.ends_at() > now,
        Record::Key(key) => key.revoked_at.is_none() && key.expires_at.is_none_or(|ends| ends > now),
    }
}

/// Whether what it opens is this route.
fn fits(record: &Record, route: Route) -> bool {
    let roles = match record {
        Record::Session(session) => &session.roles,
        Record::Key(key) => &key.roles,
    };
    route != Route::Readers || roles.iter().any(|role| **role == *"reader")
}
