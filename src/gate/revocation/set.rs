//! What is revoked, and how fresh that knowledge is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::shards::Shards;
use super::target::Target;
use crate::model::denial::Reason;
use crate::model::settings::OnStale;
use crate::model::{CredentialKind, Denial, LogEntry, Revocation, Timestamp, Verified};

/// What is revoked, and how fresh that knowledge is. Reading takes no lock.
pub struct RevocationSet {
    entries: Shards,
    /// In milliseconds.
    max_staleness: AtomicU64,
    /// [`NEVER_READ`] before the first replay.
    fresh_as_of: AtomicU64,
    /// Sends once entries can be found that could not be before.
    added: watch::Sender<()>,
}

const NEVER_READ: u64 = 0;

impl RevocationSet {
    /// Empty, and stale until the first replay.
    pub fn new(max_staleness: Duration) -> Self {
        let fresh_as_of = AtomicU64::new(NEVER_READ);
        let max_staleness = AtomicU64::new(millis(max_staleness));
        Self { entries: Shards::new(), max_staleness, fresh_as_of, added: watch::Sender::new(()) }
    }

    /// Tells when entries have been added, of which none can be missed: they are found from before it says so.
    pub fn added(&self) -> watch::Receiver<()> {
        self.added.subscribe()
    }

    /// Refuses what is revoked; and, where what we know is older than `max_staleness`, what `on_stale` says.
    pub fn check(&self, identity: &Verified, on_stale: OnStale, now: Timestamp) -> Result<(), Denial> {
        if let Some(what) = self.revoked_by(identity) {
            let (kind, id) = (identity.kind, &identity.credential_id);
            return Err(Denial::because(Reason::Revoked, format!("{kind} {id:?} is revoked: {what}")));
        }
        self.check_staleness(on_stale, now)
    }

    /// Refuses what `on_stale` says where what we know is older than `max_staleness`.
    pub fn check_staleness(&self, on_stale: OnStale, now: Timestamp) -> Result<(), Denial> {
        match on_stale {
            OnStale::Allow => Ok(()),
            OnStale::Deny => self.check_fresh(now),
        }
    }

    /// Whether a client certificate of this fingerprint is revoked, whatever it accompanies.
    pub fn certificate_revoked(&self, fingerprint: &[u8; 32]) -> bool {
        let mut text = [0; 64];
        let digits = fingerprint.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        for (to, digit) in text.iter_mut().zip(digits) {
            *to = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        }
        std::str::from_utf8(&text).is_ok_and(|text| self.has(Target::Certificate(text)))
    }

    /// Puts the live set in place of what was known.
    pub fn replace(&self, entries: Vec<LogEntry>, now: Timestamp) {
        let mut entries = entries;
        entries.retain(|entry| entry.until >= now);
        self.entries.replace(&entries);
        self.added.send_replace(());
    }

    /// Adds entries. Of two about the same, what either revokes stays revoked.
    pub fn add(&self, entries: &[LogEntry]) {
        self.entries.add(entries.iter());
        if !entries.is_empty() {
            self.added.send_replace(());
        }
    }

    /// Notes that all that was written before `at` has been read.
    pub fn fresh_as_of(&self, at: Timestamp) {
        self.fresh_as_of.store(at.0.max(NEVER_READ + 1), Ordering::Release);
    }

    /// How old what we know is; `None` before the first replay. Where the clock was set back it is how far the note lies
    /// ahead: a time yet to come proves nothing.
    pub fn staleness(&self, now: Timestamp) -> Option<Duration> {
        match self.fresh_as_of.load(Ordering::Acquire) {
            NEVER_READ => None,
            at => Some(Duration::from_millis(now.0.abs_diff(at))),
        }
    }

    /// When what we know becomes too old unless the log is read again; `None` where the clock cannot tell.
    pub fn stale_from(&self) -> Option<Timestamp> {
        match self.fresh_as_of.load(Ordering::Acquire) {
            NEVER_READ => None,
            at => Some(Timestamp(at).after(self.max_staleness()).after(Duration::from_millis(1))),
        }
    }

    /// How many entries live.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many entries of each of [`Revocation::KINDS`] live.
    pub fn counts(&self) -> [usize; Revocation::KINDS.len()] {
        self.entries.counts()
    }

    /// Hands over every entry, in no order. Takes long where there are many.
    pub fn for_each(&self, to: &mut dyn FnMut(&LogEntry)) {
        self.entries.for_each(to);
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how long what was read counts.
    pub fn max_staleness(&self) -> Duration {
        Duration::from_millis(self.max_staleness.load(Ordering::Relaxed))
    }

    /// What was read counts for so long from now on.
    pub fn set_max_staleness(&self, longest: Duration) {
        self.max_staleness.store(millis(longest), Ordering::Relaxed);
    }

    /// Drops entries that have expired from the `part`-th of `parts`; several calls do it all, none for long.
    pub(super) fn prune(&self, part: usize, parts: usize, now: Timestamp) {
        self.entries.prune(part, parts, now);
    }

    /// What is known here and not in `entries`.
    pub(super) fn missing_from(&self, entries: &[LogEntry], now: Timestamp) -> Vec<LogEntry> {
        let theirs = Shards::new();
        theirs.add(entries.iter());
        self.entries.missing_from(&theirs, now)
    }

    fn check_fresh(&self, now: Timestamp) -> Result<(), Denial> {
        let longest = self.max_staleness();
        let detail = match self.staleness(now) {
            Some(staleness) if staleness <= longest => return Ok(()),
            Some(staleness) => format!("revocation log read {staleness:?} ago, at most {longest:?}"),
            None => "the revocation log has never been read".to_owned(),
        };
        const BEAT: Duration = Duration::from_secs(1);
        Err(Denial::because(Reason::RevocationStale, detail).retry_after(BEAT))
    }

    /// Why it is revoked, in words for the log.
    fn revoked_by(&self, identity: &Verified) -> Option<&'static str> {
        let id = &*identity.credential_id;
        let own = match identity.kind {
            CredentialKind::Jwt | CredentialKind::Opaque | CredentialKind::Basic => {
                self.has(Target::Token { issuer: &identity.principal.issuer, id })
            }
            CredentialKind::Session => {
                self.has(Target::Session(id))
                    || self.entries.any(Target::Sessions(&identity.principal), |entry| {
                        matches!(entry.what, Revocation::Sessions { generation, .. } if identity.generation < generation)
                    })
            }
            CredentialKind::ApiKey => self.has(Target::ApiKey(id)),
            CredentialKind::Mtls => self.has(Target::Certificate(id)),
        };
        if own {
            return Some("the credential itself");
        }
        // A credential that does not say when it was issued may have been issued before; and `iat` counts whole
        // seconds, so that one issued in the same second as `before` is refused rather than let through.
        let issued_before = |entry: &LogEntry| match entry.what {
            Revocation::PrincipalBefore { before, .. } => identity.issued_at.is_none_or(|issued| issued < before),
            _ => false,
        };
        if self.entries.any(Target::Principal(&identity.principal), issued_before) {
            return Some("all of the principal's");
        }
        if identity.family.as_deref().is_some_and(|family| self.has(Target::Family(family))) {
            return Some("its family");
        }
        if identity.bound_certificate.is_some_and(|fingerprint| self.certificate_revoked(&fingerprint)) {
            return Some("the certificate it is bound to");
        }
        None
    }

    fn has(&self, target: Target<'_>) -> bool {
        self.entries.any(target, |_| true)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
