//! Refusing requests early when more come than one core can answer, so that those that are let in are answered in time.
//!
//! What counts is the work that waits for its turn on this core: the CPU time that passes between asking for a turn and
//! getting it, which is called a look. It is CPU time, not time on the clock: a machine that gives us no CPU makes
//! everything late, and refusing would not help. A backlog that lasts is an overload (a burst is not; `CoDel`, RFC 8289,
//! makes the same difference). From then on, for as long as more waits than is bearable, who comes is refused before
//! anything is done for them; once the backlog is bearable, all are let in again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How often to look while requests come and all is well, and how often in an overload while there is no backlog.
const EVERY: Duration = Duration::from_millis(10);
const SOON: Duration = Duration::from_millis(1);

/// A backlog that lasts for so long is no burst, …
const LASTING: Duration = Duration::from_millis(100);
/// … nor is one that is so many times what is bearable.
const ENORMOUS: u32 = 8;

/// An overload is over when nobody had to be refused for so long.
const CALM: Duration = Duration::from_secs(1);

/// The load of one worker.
pub(super) struct Overload {
    /// `None`: nothing is ever refused.
    control: Option<RefCell<Control>>,
    watching: Cell<bool>,
    /// Whether a request has come since the last look.
    asked: Cell<bool>,
}

impl Overload {
    /// Sheds when more than `bearable` of CPU time waits.
    pub(super) fn new(bearable: Option<Duration>) -> Rc<Self> {
        let control = bearable.map(|bearable| RefCell::new(Control::new(bearable)));
        Rc::new(Self { control, watching: Cell::new(false), asked: Cell::new(false) })
    }

    /// Whether the request that has just come is to be refused.
    pub(super) fn sheds(self: &Rc<Self>) -> bool {
        let Some(control) = &self.control else { return false };
        self.asked.set(true);
        if !self.watching.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).watch());
        }
        let mut control = control.borrow_mut();
        control.overload.is_some() && control.sheds(cpu_time(), Instant::now())
    }

    /// Looks for as long as requests come: an idle process is not woken.
    async fn watch(self: Rc<Self>) {
        let Some(control) = &self.control else { return };
        let mut pause = Some(EVERY);
        while self.asked.replace(false) || pause != Some(EVERY) {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            control.borrow_mut().begin(cpu_time());
            // Comes back behind everything that is ready to run now.
            tokio::task::yield_now().await;
            pause = control.borrow_mut().end(cpu_time(), Instant::now());
        }
        self.watching.set(false);
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// From looks to who is refused. All times are the caller's.
#[derive(Debug)]
struct Control {
    bearable: Duration,
    /// When the look began that is under way.
    begun: Option<Duration>,
    /// What the last look found.
    backlog: Duration,
    /// Since when every look has found too much.
    above: Option<Instant>,
    overload: Option<Episode>,
}

#[derive(Debug)]
struct Episode {
    refused: u64,
    last: Instant,
}

impl Control {
    const fn new(bearable: Duration) -> Self {
        Self { bearable, begun: None, backlog: Duration::ZERO, above: None, overload: None }
    }

    /// Whether to refuse a request whose turn it is. It came before the look that is under way, if one is, so it has
    /// waited for longer than that.
    fn sheds(&mut self, cpu: Duration, now: Instant) -> bool {
        let Some(episode) = &mut self.overload else { return false };
        let age = self.begun.map_or(Duration::ZERO, |begun| cpu.saturating_sub(begun));
        let sheds = self.backlog.max(age) > self.bearable;
        if sheds {
            episode.refused += 1;
            episode.last = now;
        }
        sheds
    }

    const fn begin(&mut self, cpu: Duration) {
        self.begun = Some(cpu);
    }

    /// A look is over; how long to wait before the next one.
    fn end(&mut self, cpu: Duration, now: Instant) -> Option<Duration> {
        self.backlog = self.begun.take().map_or(Duration::ZERO, |begun| cpu.saturating_sub(begun));
        if self.backlog <= self.bearable {
            self.above = None;
        }
        let above = self.backlog > self.bearable;
        let since = above.then(|| *self.above.get_or_insert(now));
        let lasts = since.is_some_and(|since| now.saturating_duration_since(since) >= LASTING);
        match &self.overload {
            None if lasts || self.backlog > self.bearable * ENORMOUS => {
                tracing::warn!(backlog = ?self.backlog, "overloaded: requests are refused");
                self.overload = Some(Episode { refused: 0, last: now });
            }
            Some(Episode { refused, last }) if !above && now.saturating_duration_since(*last) >= CALM => {
                tracing::warn!(refused, "no longer overloaded");
                self.overload = None;
            }
            _ => {}
        }
        match &self.overload {
            None => Some(EVERY),
            Some(_) if self.backlog < self.bearable / 4 => Some(SOON),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "overload_tests.rs"]
mod tests;
