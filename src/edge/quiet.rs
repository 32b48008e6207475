//! Log lines that clients can cause at will, held to a few a second.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Lines in a second.
const AT_MOST: u32 = 10;

/// Lets a few lines a second through and counts the rest. One per worker and kind of line.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    second: Cell<Option<Instant>>,
    lines: Cell<u32>,
    withheld: Cell<u64>,
}

impl Quiet {
    /// Whether a line may be written now, and how many were not since the last one.
    pub(super) fn allow(&self) -> Option<u64> {
        self.allow_at(Instant::now())
    }

    fn allow_at(&self, now: Instant) -> Option<u64> {
        if self.second.get().is_none_or(|began| now.saturating_duration_since(began) >= Duration::from_secs(1)) {
            self.second.set(Some(now));
            self.lines.set(0);
        }
        if self.lines.get() < AT_MOST {
            self.lines.set(self.lines.get() + 1);
            Some(self.withheld.take())
        } else {
            self.withheld.set(self.withheld.get() + 1);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_a_second_and_then_how_many_were_withheld() {
        let quiet = Quiet::default();
        let now = Instant::now();
        let allowed = (0..25).filter(|_| quiet.allow_at(now).is_some()).count();
        assert_eq!(allowed, 10);
        assert_eq!(quiet.allow_at(now + Duration::from_secs(1)), Some(15));
        assert_eq!(quiet.allow_at(now + Duration::from_secs(1)), Some(0));
    }
}
