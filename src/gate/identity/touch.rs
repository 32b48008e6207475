//! Noting uses in the store, seldom.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{SessionRecord, Timestamp};

/// A use is noted at most this often.
const AT_MOST_EVERY: Duration = Duration::from_secs(60);

/// When the use of one credential was last noted, as far as this process knows.
pub(super) struct Touch {
    every: Duration,
    last: AtomicU64,
}

impl Touch {
    /// Of an API key.
    pub(super) fn of_key(used_at: Option<Timestamp>) -> Self {
        Self { every: AT_MOST_EVERY, last: AtomicU64::new(used_at.unwrap_or_default().0) }
    }

    /// Of a session: more often where it ends after a short time without use, or it would end in the midst of it.
    pub(super) fn of_session(record: &SessionRecord) -> Self {
        let every = AT_MOST_EVERY.min(Duration::from_millis(record.idle_ms / 4));
        Self { every, last: AtomicU64::new(record.seen_at.0) }
    }

    /// Whether a use now is to be noted; of several callers at a time, one is told so.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        now.since(Timestamp(last)) >= self.every
            && self.last.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_noted_at_most_once_a_minute() {
        let touch = Touch::of_key(None);
        let now = Timestamp(1_000_000);
        assert!(touch.is_due(now));
        assert!(!touch.is_due(now));
        assert!(!touch.is_due(now.after(Duration::from_secs(59))));
        assert!(touch.is_due(now.after(Duration::from_secs(60))));
    }

    #[test]
    fn a_time_of_use_ahead_of_the_clock_is_no_reason_to_note() {
        assert!(!Touch::of_key(Some(Timestamp(2_000_000))).is_due(Timestamp(1_000_000)));
    }
}
