//! What may be used once, in memory alone: a file would be written with each use.

use std::collections::HashSet;
use std::time::Duration;

use super::Shared;
use super::expiries::Expiries;
use crate::model::Timestamp;
use crate::store::{Replays, Reply, StoreError};

/// How many are kept at most; about 100 bytes each.
const MOST: usize = 262_144;
/// How many ended ones one call clears away, so that none pays for all.
const SWEPT_AT_ONCE: usize = 32;

/// What was used and when that may be forgotten.
pub(super) struct Used {
    seen: HashSet<[u8; 32]>,
    ends: Expiries<[u8; 32]>,
    most: usize,
}

impl Used {
    pub(super) fn none() -> Self {
        Self { seen: HashSet::new(), ends: Expiries::new(), most: MOST }
    }

    /// Whether this is its first use; `None` where there is no room to note it.
    fn first_use(&mut self, digest: [u8; 32], until: Timestamp, now: Timestamp) -> Option<bool> {
        for _ in 0..SWEPT_AT_ONCE {
            let Some(ended) = self.ends.pop_due(now) else { break };
            self.seen.remove(&ended);
        }
        if self.seen.contains(&digest) {
            return Some(false);
        }
        if self.seen.len() >= self.most {
            return None;
        }
        self.ends.push(until, digest);
        self.seen.insert(digest);
        Some(true)
    }
}

impl Replays for Shared {
    fn first_use<'a>(&'a self, digest: &'a [u8; 32], keep: Duration) -> Reply<'a, bool> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let first = self.0.state().used.first_use(*digest, now.after(keep), now);
            first.ok_or_else(|| StoreError::Refused("it remembers as many used proofs as it can".to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f34_a_second_use_is_one_until_the_first_may_be_forgotten() {
        let mut used = Used::none();
        assert_eq!(used.first_use([1; 32], Timestamp(10), Timestamp(0)), Some(true));
        assert_eq!(used.first_use([1; 32], Timestamp(10), Timestamp(9)), Some(false));
        assert_eq!(used.first_use([2; 32], Timestamp(20), Timestamp(9)), Some(true));
        assert_eq!(used.first_use([1; 32], Timestamp(30), Timestamp(10)), Some(true));
        assert_eq!(used.first_use([1; 32], Timestamp(30), Timestamp(29)), Some(false));
    }

    #[test]
    fn nothing_is_forgotten_to_make_room() {
        let mut used = Used { most: 2, ..Used::none() };
        assert_eq!(used.first_use([1; 32], Timestamp(10), Timestamp(0)), Some(true));
        assert_eq!(used.first_use([2; 32], Timestamp(10), Timestamp(0)), Some(true));
        assert_eq!(used.first_use([3; 32], Timestamp(10), Timestamp(9)), None);
        assert_eq!(used.first_use([1; 32], Timestamp(10), Timestamp(9)), Some(false));
        assert_eq!(used.first_use([3; 32], Timestamp(20), Timestamp(10)), Some(true));
    }
}
