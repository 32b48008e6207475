//! From how long requests wait to who is refused. All times are the caller's.
//!
//! Waiting that is long is no overload by itself: a few hundred clients that ask again as soon as they are answered keep a
//! core busy and wait for each other, but there are never more of them; whom to refuse there would only ask again. It is
//! an overload when more and more wait. From then on who comes while others have waited for a while is refused at once,
//! which costs little, and nobody waits for longer than is bearable.

use std::time::{Duration, Instant};

/// Waiting for so many times what is bearable is an overload whoever waits.
const ENORMOUS: u32 = 8;

/// How many times what is bearable those who have come in one moment have to queue up.
const SETTLING: u32 = 2;

/// What comes while somebody has waited for this part of what is bearable is refused.
const PART: u32 = 4;

/// Nobody is refused any more when nobody had to be for so long, …
const RELIEF: Duration = Duration::from_millis(100);
/// … and the overload is over when nobody had to be for so long.
const CALM: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Control {
    bearable: Duration,
    /// While some wait for longer than is bearable.
    growth: Option<Growth>,
    overload: Option<Episode>,
}

/// Who is to be refused until the next look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Nobody.
    LetIn,
    /// Who has waited for longer than is bearable.
    RefuseLate,
    /// And whoever comes.
    RefuseNew,
}

#[derive(Debug)]
struct Growth {
    since: Duration,
    /// How many were under way then, or a little later.
    from: Option<usize>,
}

#[derive(Debug)]
struct Episode {
    refused: usize,
    last: Instant,
    relieved: bool,
}

impl Control {
    pub(super) const fn new(bearable: Duration) -> Self {
        Self { bearable, growth: None, overload: None }
    }

    pub(super) const fn is_overload(&self) -> bool {
        self.overload.is_some()
    }

    /// What is bearable.
    pub(super) const fn bearable(&self) -> Duration {
        self.bearable
    }

    /// The oldest request that waits has waited for so long, and so many are under way in all, those that wait included.
    pub(super) fn look(&mut self, cpu: Duration, oldest: Duration, under_way: usize, now: Instant) -> Order {
        if let Some(Episode { refused, last, relieved }) = &mut self.overload {
            let calm = now.saturating_duration_since(*last);
            *relieved |= calm >= RELIEF;
            if calm >= CALM {
                tracing::warn!(refused, "no longer overloaded");
                self.overload = None;
            }
        }
        let refuses = |overload: &Option<Episode>| overload.as_ref().is_some_and(|episode| !episode.relieved);
        if !refuses(&self.overload) && self.is_too_much(cpu, oldest, under_way) {
            self.growth = None;
            if self.overload.is_none() {
                tracing::warn!(waiting = ?oldest, under_way, "overloaded: requests are refused");
            }
            let refused = self.overload.as_ref().map_or(0, |episode| episode.refused);
            self.overload = Some(Episode { refused, last: now, relieved: false });
        }
        match refuses(&self.overload) {
            false => Order::LetIn,
            true if oldest <= self.bearable / PART => Order::RefuseLate,
            true => Order::RefuseNew,
        }
    }

    /// So many had to be refused.
    pub(super) const fn have_refused(&mut self, count: usize, now: Instant) {
        if count > 0
            && let Some(episode) = &mut self.overload
        {
            episode.refused += count;
            episode.last = now;
        }
    }

    fn is_too_much(&mut self, cpu: Duration, oldest: Duration, under_way: usize) -> bool {
        if oldest <= self.bearable {
            self.growth = None;
            return false;
        }
        if oldest > self.bearable * ENORMOUS {
            return true;
        }
        let growth = self.growth.get_or_insert(Growth { since: cpu, from: None });
        if cpu.saturating_sub(growth.since) < self.bearable * SETTLING {
            return false;
        }
        let from = *growth.from.get_or_insert(under_way);
        under_way > from + from / 8 + 8
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
