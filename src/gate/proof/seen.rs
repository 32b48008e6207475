//! The proofs that were used here, for as long as they would still be taken.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;

/// A bounded set. It never forgets what could still be used: where there is no room, nothing more is noted.
pub(super) struct Seen {
    shards: [Mutex<Slots>; SHARDS],
    held: AtomicUsize,
    most: AtomicUsize,
}

/// What one use was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    First,
    Repeated,
    /// It could not be noted.
    NoRoom,
}

/// So that workers rarely wait for each other.
const SHARDS: usize = 16;

/// Digests by the slot of time in which they may be forgotten: a whole slot goes at once.
#[derive(Default)]
struct Slots(BTreeMap<u64, HashSet<u128, RandomState>>);

const SLOT_SECS: u64 = 4;

impl Seen {
    pub(super) fn at_most(most: usize) -> Self {
        Self { shards: Default::default(), held: AtomicUsize::new(0), most: AtomicUsize::new(most) }
    }

    /// So many are held from now on; what is held already stays.
    pub(super) fn hold_at_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Notes a use of what may be forgotten from `until` on.
    pub(super) fn first_use(&self, digest: &[u8; 32], until: Duration, now: Duration) -> Use {
        // Half of a SHA-256: nobody finds two that agree in it, and whoever did would harm but himself.
        let (half, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        let digest = u128::from_be_bytes(*half);
        match self.note(digest, until, now) {
            Use::NoRoom => {
                // What has ended in shards that nobody has asked lately still takes room.
                self.shards.iter().for_each(|shard| self.sweep(shard, now));
                self.note(digest, until, now)
            }
            noted => noted,
        }
    }

    fn note(&self, digest: u128, until: Duration, now: Duration) -> Use {
        let [.., last] = digest.to_be_bytes();
        let Some(shard) = self.shards.get(usize::from(last) % SHARDS) else { return Use::NoRoom };
        // Each change is one insertion or removal, so that a holder that panicked left nothing half done.
        let mut slots = shard.lock().unwrap_or_else(PoisonError::into_inner);
        self.held.fetch_sub(slots.forget(now), Ordering::Relaxed);
        if slots.0.values().any(|slot| slot.contains(&digest)) {
            return Use::Repeated;
        }
        let most = self.most.load(Ordering::Relaxed);
        let room = |held: usize| (held < most).then_some(held + 1);
        if self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_err() {
            return Use::NoRoom;
        }
        slots.0.entry(until.as_secs() / SLOT_SECS).or_default().insert(digest);
        Use::First
    }

    fn sweep(&self, shard: &Mutex<Slots>, now: Duration) {
        let forgotten = shard.lock().unwrap_or_else(PoisonError::into_inner).forget(now);
        self.held.fetch_sub(forgotten, Ordering::Relaxed);
    }
}

impl Slots {
    /// Lets go of every slot that has passed; says how many digests those were.
    fn forget(&mut self, now: Duration) -> usize {
        let mut forgotten = 0;
        while let Some(slot) =
            self.0.first_entry().filter(|slot| (slot.key() + 1).saturating_mul(SLOT_SECS) <= now.as_secs())
        {
            forgotten += slot.remove().len();
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn digest(n: u16) -> [u8; 32] {
        crate::crypto::digest::sha256(&n.to_be_bytes())
    }

    #[test]
    fn f34_what_was_used_is_known_until_it_could_not_be_used_anyway() {
        let seen = Seen::at_most(10);
        assert_eq!(seen.first_use(&digest(1), at(60), at(0)), Use::First);
        assert_eq!(seen.first_use(&digest(2), at(60), at(0)), Use::First);
        for now in [0, 1, 30, 59] {
            assert_eq!(seen.first_use(&digest(1), at(60), at(now)), Use::Repeated, "{now}");
            assert_eq!(seen.first_use(&digest(1), at(90), at(now)), Use::Repeated, "{now}");
        }
        assert_eq!(seen.first_use(&digest(1), at(200), at(100)), Use::First);
    }

    #[test]
    fn f34_a_full_set_takes_nothing_more_and_forgets_nothing() {
        let seen = Seen::at_most(100);
        for n in 0..100 {
            assert_eq!(seen.first_use(&digest(n), at(60), at(0)), Use::First);
        }
        for n in 100..200 {
            assert_eq!(seen.first_use(&digest(n), at(60), at(1)), Use::NoRoom);
        }
        for n in 0..100 {
            assert_eq!(seen.first_use(&digest(n), at(60), at(59)), Use::Repeated);
        }
        assert_eq!(seen.held.load(Ordering::Relaxed), 100);
        // Whatever shard it is in, what has ended makes room.
        for n in 300..400 {
            assert_eq!(seen.first_use(&digest(n), at(160), at(100)), Use::First);
        }
        assert_eq!(seen.first_use(&digest(400), at(160), at(100)), Use::NoRoom);
        assert_eq!(seen.held.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn of_many_at_once_one_is_the_first_and_the_bound_holds() {
        let seen = Seen::at_most(500);
        let firsts = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for n in 0..1000 {
                        if seen.first_use(&digest(n), at(60), at(0)) == Use::First {
                            firsts.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(firsts.into_inner(), 500);
    }

    proptest! {
        /// Against a model that keeps everything for ever: no live use is a first one twice.
        #[test]
        fn f34_no_live_use_is_ever_forgotten(uses in prop::collection::vec((0..20_u16, 1..90_u64, 0..5_u64), 0..200)) {
            let seen = Seen::at_most(8);
            let (mut live, mut now) = (std::collections::HashMap::new(), 0);
            for (n, lasts, passed) in uses {
                now += passed;
                let known = live.get(&n).is_some_and(|until| *until > now);
                match seen.first_use(&digest(n), at(now + lasts), at(now)) {
                    Use::First => {
                        prop_assert!(!known);
                        live.insert(n, now + lasts);
                    }
                    Use::NoRoom => prop_assert!(!known),
                    Use::Repeated => prop_assert!(live.contains_key(&n)),
                }
            }
        }
    }
}
