//! Verified credentials, by the digest of what was presented.
//!
//! A read takes no lock of ours; behind this type stands moka, so that a level per core can be put before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;

use super::changes::Changes;
use super::flight::Flights;
use super::touch::Touch;
use super::weight::weight;
use crate::model::denial::Reason;
use crate::model::{CredentialKind, Timestamp, Verified};

/// SHA-256 of the kind, the verifiers' generation and the presented bytes, each preceded by its length.
pub(super) type Key = [u8; 32];

/// For how long what the store says of a session or an API key is believed without asking again. Their revocation takes
/// effect at once by the revocation log; this bounds how long a change that nobody announced goes unseen.
pub(super) const STORED_FOR: Duration = Duration::from_secs(60);

/// For how long an unknown session or API key stays unknown without asking again.
const UNKNOWN_FOR: Duration = Duration::from_secs(2);

/// How many unknown credentials are remembered; apart from the others, so that garbage drives out garbage alone.
const UNKNOWN_CAPACITY: u64 = 10_000;

/// What a verification has found, and for how long it is believed without asking again.
pub(super) struct Finding {
    pub(super) verified: Verified,
    /// For credentials whose use is noted in the store.
    pub(super) touch: Option<Touch>,
    /// Beyond it, what was found counts no longer, however long the credential itself lasts.
    pub(super) believed_for: Duration,
}

impl From<(Verified, Option<Touch>)> for Finding {
    fn from((verified, touch): (Verified, Option<Touch>)) -> Self {
        let believed_for = if is_stored(verified.kind) { STORED_FOR } else { Duration::MAX };
        Self { verified, touch, believed_for }
    }
}

/// Verified credentials, by the digest of what was presented. Holds facts about credentials, never decisions.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    verified: moka::sync::Cache<Key, Arc<Entry>, foldhash::quality::RandomState>,
    unknown: moka::sync::Cache<Key, Unknown, foldhash::quality::RandomState>,
    flights: Flights,
    changes: Changes,
    verifiers: AtomicU64,
}

impl Cache {
    /// Of at most so many credentials and about so many bytes.
    pub fn new(entries: u64, bytes: u64) -> Self {
        // An entry weighs its bytes, but at least its share of them: so one capacity bounds both.
        let share = u32::try_from(bytes / entries.max(1)).unwrap_or(u32::MAX);
        let verified = moka::sync::Cache::builder()
            .max_capacity(bytes)
            .weigher(move |_, entry: &Arc<Entry>| weight(&entry.verified).max(share))
            .expire_after(UntilItEnds)
            .build_with_hasher(foldhash::quality::RandomState::default());
        let unknown = moka::sync::Cache::builder()
            .max_capacity(UNKNOWN_CAPACITY.min(entries))
            .time_to_live(UNKNOWN_FOR)
            .build_with_hasher(foldhash::quality::RandomState::default());
        let inner = Inner {
            verified,
            unknown,
            flights: Flights::default(),
            changes: Changes::default(),
            verifiers: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// How many there are, about.
    pub fn len(&self) -> u64 {
        self.inner.verified.entry_count()
    }

    /// Whether there are none, about.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.forget_stored();
        self.inner.verified.invalidate_all();
        self.inner.unknown.invalidate_all();
    }

    /// Begins a new generation of verifiers: what the ones before have verified counts for them alone. To be called
    /// before gates are built from other settings.
    pub fn next_verifiers(&self) {
        self.inner.verifiers.fetch_add(1, Ordering::AcqRel);
    }

    /// Forgets what is held of these credentials, by their [`credential_id`](Verified::credential_id); also what is
    /// being read at this moment.
    pub(in crate::gate) fn changed<'a>(&self, ids: impl IntoIterator<Item = &'a Arc<str>>, now: Timestamp) {
        self.inner.changes.note(ids, now);
    }

    /// Forgets what was read from the store; tokens and certificates stay, for no record of ours says anything of them.
    pub(in crate::gate) fn forget_stored(&self) {
        self.inner.changes.note_all();
    }

    pub(super) fn verifiers(&self) -> u64 {
        self.inner.verifiers.load(Ordering::Acquire)
    }

    pub(super) fn flights(&self) -> &Flights {
        &self.inner.flights
    }

    /// To be taken before a verification begins.
    pub(in crate::gate) fn generation(&self) -> u64 {
        self.inner.changes.generation()
    }

    /// What is held, unless it is out of date.
    pub(super) fn find(&self, key: &Key, now: Timestamp) -> Option<Arc<Entry>> {
        let entry = self.inner.verified.get(key)?;
        (now < entry.until && self.inner.changes.hold(&entry)).then_some(entry)
    }

    /// Why what was presented under this key has just been refused.
    pub(super) fn find_unknown(&self, key: &Key, now: Timestamp) -> Option<Reason> {
        let unknown = self.inner.unknown.get(key)?;
        (now < unknown.until).then_some(unknown.reason)
    }

    pub(super) fn insert(&self, key: Key, entry: Arc<Entry>) {
        self.inner.verified.insert(key, entry);
    }

    pub(super) fn insert_unknown(&self, key: Key, reason: Reason, now: Timestamp) {
        self.inner.unknown.insert(key, Unknown { reason, until: now.after(UNKNOWN_FOR) });
    }

    pub(super) fn remove(&self, key: &Key) {
        self.inner.verified.invalidate(key);
    }
}

/// One verified credential.
pub(super) struct Entry {
    pub(super) verified: Arc<Verified>,
    /// When to verify again; then, if not before, it ends as far as the cache is concerned.
    until: Timestamp,
    lifetime: Duration,
    /// The generation up to which no change has touched it.
    pub(super) generation: AtomicU64,
    /// For credentials whose use is noted in the store.
    pub(super) touch: Option<Touch>,
}

impl Entry {
    /// `now` and `generation` are those of before the verification began.
    pub(super) fn new(finding: impl Into<Finding>, generation: u64, now: Timestamp) -> Self {
        let Finding { verified, touch, believed_for } = finding.into();
        let until = verified.expires_at.min(now.after(believed_for));
        Self {
            verified: Arc::new(verified),
            until,
            lifetime: until.since(now),
            generation: AtomicU64::new(generation),
            touch,
        }
    }
}

/// Whether what is known of it comes from a record, ours or its issuer's, so that asking again may tell something else.
pub(super) const fn is_stored(kind: CredentialKind) -> bool {
    matches!(kind, CredentialKind::Session | CredentialKind::ApiKey | CredentialKind::Opaque)
}

#[derive(Clone, Copy)]
struct Unknown {
    reason: Reason,
    until: Timestamp,
}

/// Tells moka when an entry's memory may go; whether it counts is for [`Cache::find`] to say, by the gate's clock.
struct UntilItEnds;

/// The most that moka takes.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Expiry<Key, Arc<Entry>> for UntilItEnds {
    fn expire_after_create(&self, _: &Key, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        Some(entry.lifetime.min(LONGEST))
    }

    // The default would keep what was left of the time of the entry that is replaced.
    fn expire_after_update(&self, _: &Key, entry: &Arc<Entry>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.lifetime.min(LONGEST))
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
