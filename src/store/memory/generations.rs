//! Which generation of sessions a principal is in; see [`Sessions`](crate::store::Sessions) for why it is a time.

use std::collections::HashMap;

use super::expiries::Expiries;
use crate::model::{Principal, Timestamp};

/// One counter per principal, for as long as it matters.
pub(super) struct Generations {
    counters: HashMap<Principal, Counter>,
    ends: Expiries<Principal>,
}

struct Counter {
    generation: u64,
    until: Timestamp,
}

impl Generations {
    pub(super) fn new() -> Self {
        Self { counters: HashMap::new(), ends: Expiries::new() }
    }

    /// The generation of what begins now.
    pub(super) fn current(&self, of: &Principal, now: Timestamp) -> u64 {
        self.counters.get(of).map_or(now.0, |counter| counter.generation.max(now.0))
    }

    /// The counter is never below `generation` from now on, until `until` at least.
    pub(super) fn raise(&mut self, of: &Principal, generation: u64, until: Timestamp) {
        let counter = self.counters.entry(of.clone()).or_insert(Counter { generation, until: Timestamp(0) });
        counter.generation = counter.generation.max(generation);
        if counter.until < until {
            counter.until = until;
            self.ends.push(until, of.clone());
        }
    }

    /// Drops at most `most` that nothing rests on any more.
    pub(super) fn sweep(&mut self, most: usize, now: Timestamp) {
        for _ in 0..most {
            let Some(of) = self.ends.pop_due(now) else { break };
            if self.counters.get(&of).is_some_and(|counter| counter.until <= now) {
                self.counters.remove(&of);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.counters.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_only_rise_whatever_the_clock_does() {
        let (ada, bob) = (Principal::new("a", "ada"), Principal::new("a", "bob"));
        let mut generations = Generations::new();
        assert_eq!(generations.current(&ada, Timestamp(50)), 50);
        generations.raise(&ada, 60, Timestamp(1000));
        generations.raise(&ada, 40, Timestamp(1000));
        assert_eq!(generations.current(&ada, Timestamp(50)), 60);
        assert_eq!(generations.current(&ada, Timestamp(70)), 70);
        assert_eq!(generations.current(&bob, Timestamp(50)), 50);
    }

    #[test]
    fn a_counter_goes_when_nothing_rests_on_it_any_more() {
        let ada = Principal::new("a", "ada");
        let mut generations = Generations::new();
        generations.raise(&ada, 1, Timestamp(10));
        generations.raise(&ada, 2, Timestamp(30));
        generations.raise(&ada, 3, Timestamp(20));
        generations.sweep(32, Timestamp(29));
        assert_eq!(generations.current(&ada, Timestamp(0)), 3);
        generations.sweep(32, Timestamp(30));
        assert_eq!(generations.len(), 0);
    }
}
