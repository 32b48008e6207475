//! Spares an endpoint that does not answer, and its callers the wait for it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// After so many calls in a row without an answer …
const TRIPS: u32 = 5;
/// … one call is let through each second until one is answered.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    /// Milliseconds on the clock that nobody corrects.
    open_until: AtomicU64,
}

/// No call may be made now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Open;

impl Breaker {
    /// Whether a call may be made.
    pub(super) fn admit(&self, now: Duration) -> Result<(), Open> {
        if self.failures.load(Ordering::Relaxed) < TRIPS {
            return Ok(());
        }
        let until = self.open_until.load(Ordering::Relaxed);
        // One of those who find the pause over goes to see; for the others it begins again.
        let next = millis(now + PAUSE);
        let is_first = || self.open_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if millis(now) >= until && is_first() { Ok(()) } else { Err(Open) }
    }

    /// How a call ended.
    pub(super) fn note(&self, answered: bool, now: Duration) {
        if answered {
            self.failures.store(0, Ordering::Relaxed);
            return;
        }
        self.open_until.store(millis(now + PAUSE), Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_failures_one_call_a_second_goes_to_see() {
        let (breaker, at) = (Breaker::default(), Duration::from_millis);
        for _ in 0..TRIPS {
            assert_eq!(breaker.admit(at(0)), Ok(()));
            breaker.note(false, at(0));
        }
        assert_eq!(breaker.admit(at(999)), Err(Open));
        assert_eq!(breaker.admit(at(1000)), Ok(()));
        assert_eq!(breaker.admit(at(1000)), Err(Open), "one alone");
        breaker.note(false, at(1500));
        assert_eq!(breaker.admit(at(2499)), Err(Open));
        assert_eq!(breaker.admit(at(2500)), Ok(()));
        breaker.note(true, at(2500));
        for _ in 0..3 {
            assert_eq!(breaker.admit(at(2500)), Ok(()));
        }
    }

    #[test]
    fn failures_that_are_not_in_a_row_do_nothing() {
        let (breaker, now) = (Breaker::default(), Duration::ZERO);
        for _ in 0..20 {
            breaker.note(false, now);
            breaker.note(true, now);
            assert_eq!(breaker.admit(now), Ok(()));
        }
    }
}
