//! When keys are fetched again.

use std::time::Duration;

use crate::model::settings::JwksSettings;

/// The pauses between fetches that are due whether or not a token asks for one. What the server says of caching changes
/// nothing: many say `max-age=0` of everything, others days, and how long a key that was withdrawn may still count is
/// for the operator to say.
#[derive(Debug)]
pub(super) struct Schedule {
    period: Duration,
    first: Duration,
    next: Duration,
}

impl Schedule {
    pub(super) fn new(jwks: &JwksSettings) -> Self {
        let period = jwks.refresh.min(jwks.max_age / 2).max(SHORTEST);
        let first = jwks.min_interval.clamp(SHORTEST, period);
        Self { period, first, next: first }
    }

    /// The pause after a fetch: up to a tenth less than the period after one that was good; after failures in a row twice
    /// as long each time, at most the period, and up to half of it less. By `random`, so that instances that started or
    /// failed together do not ask together for ever.
    pub(super) fn pause(&mut self, was_good: bool, random: u8) -> Duration {
        let random = u32::from(random);
        if was_good {
            self.next = self.first;
            return self.period.saturating_sub(self.period * random / 2560);
        }
        let pause = self.next;
        self.next = (pause * 2).min(self.period);
        pause.saturating_sub(pause * random / 512)
    }
}

const SHORTEST: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pauses(random: u8, outcomes: &[bool]) -> Vec<u64> {
        let mut schedule = Schedule::new(&JwksSettings::default());
        outcomes.iter().map(|was_good| schedule.pause(*was_good, random).as_secs()).collect()
    }

    #[test]
    fn after_failures_it_asks_ever_less_often_and_no_less_than_usual() {
        let outcomes = [true, false, false, false, false, false, false, false, true, false];
        assert_eq!(pauses(0, &outcomes), [300, 10, 20, 40, 80, 160, 300, 300, 300, 10]);
    }

    #[test]
    fn instances_that_failed_together_do_not_ask_together() {
        assert_eq!(pauses(255, &[true, false, false]), [270, 5, 10]);
        assert_eq!(pauses(128, &[true, false, false]), [285, 7, 15]);
    }

    #[test]
    fn it_never_spins_and_asks_well_before_keys_grow_too_old() {
        let jwks = JwksSettings { refresh: Duration::ZERO, min_interval: Duration::ZERO, ..JwksSettings::default() };
        let mut schedule = Schedule::new(&jwks);
        for was_good in [true, false, false] {
            assert!(schedule.pause(was_good, 255) >= SHORTEST / 2);
        }
        let jwks = JwksSettings { max_age: 300 * SECOND, ..JwksSettings::default() };
        assert_eq!(Schedule::new(&jwks).pause(true, 0), 150 * SECOND);
        let jwks = JwksSettings { min_interval: 3600 * SECOND, ..JwksSettings::default() };
        assert_eq!(Schedule::new(&jwks).pause(false, 0), 300 * SECOND);
    }
}
