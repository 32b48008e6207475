//! What is known of one endpoint, by all workers and the checker together.

use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::time::Duration;

use tokio::time::Instant;

/// Nobody has asked it yet: it counts as healthy.
const UNCHECKED: u8 = 0;
const HEALTHY: u8 = 1;
const UNHEALTHY: u8 = 2;

/// The least share that an endpoint gets while it comes back, in percent.
const LEAST: u32 = 10;

/// One endpoint's. Read for every request, so that reading takes no lock; written when something changes.
#[derive(Debug)]
pub(super) struct Condition {
    /// What times here are counted from, in milliseconds.
    epoch: Instant,
    checked: AtomicU8,
    /// Failed requests in a row.
    failures: AtomicU32,
    /// Until when it is left alone; 0: it is not.
    ejected_until: AtomicU64,
    /// Since when it is well again, while it gets less than its share; 0: it has all of it.
    back_since: AtomicU64,
    story: Mutex<Story>,
}

/// What requests need not know.
#[derive(Debug, Default)]
struct Story {
    /// Why it is not well, or was not when it last was not.
    why: Option<String>,
    /// Ejections in a row.
    ejections: u32,
    /// When the last of them ends.
    ended: u64,
}

/// How an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No check has ended yet, or there are none; it gets requests.
    Unchecked,
    /// It gets requests.
    Healthy,
    /// It is well again and gets more of its share from moment to moment.
    Returning,
    /// Checks say that it is not well.
    Unhealthy,
    /// Requests failed: it is left alone for a while.
    Ejected,
}

impl Standing {
    /// Whether it gets requests.
    pub const fn is_well(self) -> bool {
        !matches!(self, Self::Unhealthy | Self::Ejected)
    }

    /// The name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Healthy => "healthy",
            Self::Returning => "returning",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
        }
    }
}

impl Condition {
    pub(super) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            checked: AtomicU8::new(UNCHECKED),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            back_since: AtomicU64::new(0),
            story: Mutex::default(),
        }
    }

    /// Whether it gets all of its share and has for a while, as nearly always: nobody need ask for the time.
    pub(super) fn is_settled(&self) -> bool {
        self.checked.load(Relaxed) != UNHEALTHY
            && self.ejected_until.load(Relaxed) == 0
            && self.back_since.load(Relaxed) == 0
    }

    /// Whether it is well; one whose ejection is over is back then.
    pub(super) fn is_well(&self, now: Instant, slow_start: Option<Duration>) -> bool {
        let until = self.ejected_until.load(Relaxed);
        if until > 0 {
            if self.millis(now) < until {
                return false;
            }
            // Only one of the workers finds this out.
            let back = self.ejected_until.compare_exchange(until, 0, Relaxed, Relaxed);
            if back.is_ok() && slow_start.is_some() {
                self.back_since.store(until, Relaxed);
            }
        }
        self.checked.load(Relaxed) != UNHEALTHY
    }

    /// The part of its share that it gets, in percent.
    pub(super) fn part(&self, now: Instant, slow_start: Option<Duration>) -> u32 {
        let since = self.back_since.load(Relaxed);
        if since == 0 {
            return 100;
        }
        let whole = slow_start.unwrap_or_default();
        let passed = Duration::from_millis(self.millis(now).saturating_sub(since));
        if passed < whole {
            let percent = passed.as_millis().saturating_mul(100) / whole.as_millis().max(1);
            return u32::try_from(percent).unwrap_or(100).max(LEAST);
        }
        // Unless it has gone and come back meanwhile.
        let _ = self.back_since.compare_exchange(since, 0, Relaxed, Relaxed);
        100
    }

    /// What checks have found. Returns whether that is news for those who send requests.
    pub(super) fn checked(&self, healthy: bool, now: Instant, slow_start: Option<Duration>) -> bool {
        let before = self.checked.swap(if healthy { HEALTHY } else { UNHEALTHY }, Relaxed);
        if healthy && before == UNHEALTHY && slow_start.is_some() {
            self.back_since.store(self.millis(now).max(1), Relaxed);
        }
        if healthy { before == UNHEALTHY } else { before != UNHEALTHY }
    }

    /// Whether no check has ended yet.
    pub(super) fn is_unchecked(&self) -> bool {
        self.checked.load(Relaxed) == UNCHECKED
    }

    /// Whether the last that checks have found is that it is well.
    pub(super) fn checks_pass(&self) -> bool {
        self.checked.load(Relaxed) != UNHEALTHY
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        if self.failures.load(Relaxed) > 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// A request failed; returns how many have in a row.
    pub(super) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Relaxed).saturating_add(1)
    }

    /// Whether it is left alone now.
    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.millis(now) < self.ejected_until.load(Relaxed)
    }

    /// Leaves it alone for `base` times as often as this has happened in a row, at most `most`; returns for how long.
    pub(super) fn eject(&self, now: Instant, base: Duration, most: Duration) -> Duration {
        let now = self.millis(now);
        let ended = |time: Duration| now.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).max(1);
        let Ok(mut story) = self.story.lock() else { return Duration::ZERO };
        let quiet = now.saturating_sub(story.ended);
        story.ejections = if Duration::from_millis(quiet) >= most { 1 } else { story.ejections.saturating_add(1) };
        let time = base.saturating_mul(story.ejections).min(most);
        story.ended = ended(time);
        self.failures.store(0, Relaxed);
        self.ejected_until.store(story.ended, Relaxed);
        time
    }

    /// Remembers why it is not well.
    pub(super) fn because(&self, why: &str) {
        if let Ok(mut story) = self.story.lock() {
            story.why = Some(why.to_owned());
        }
    }

    /// How it stands, and why where it is not well.
    pub(super) fn standing(&self, now: Instant, slow_start: Option<Duration>) -> (Standing, Option<String>) {
        let standing = if self.checked.load(Relaxed) == UNHEALTHY {
            Standing::Unhealthy
        } else if self.is_ejected(now) {
            Standing::Ejected
        } else if self.part(now, slow_start) < 100 {
            Standing::Returning
        } else if self.is_unchecked() {
            Standing::Unchecked
        } else {
            Standing::Healthy
        };
        let why = matches!(standing, Standing::Unhealthy | Standing::Ejected);
        (standing, why.then(|| self.story.lock().ok()?.why.clone()).flatten())
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}
