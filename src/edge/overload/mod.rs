//! Refusing requests early when more come than one core can answer, so that those that are let in are answered in time.
//!
//! What counts is the work that waits for its turn on this core, in CPU time: a machine that gives us no CPU makes
//! everything late, and refusing would not help. While all that is ready to run is done within a moment, requests are
//! served as they come. When it is not, new requests wait in one queue, and a few are let in each time the core has gone
//! round all that is ready: what has begun is finished before more is begun, and how long each has waited is known. Whether
//! somebody has to be refused, and who, is for [`Control`] to say.

mod control;
mod waiting;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use self::control::{Control, Order};
use self::waiting::Waiting;

/// How often to look while requests come and all is well, and how often in an overload while nothing waits.
const EVERY: Duration = Duration::from_millis(10);
const SOON: Duration = Duration::from_millis(1);

/// A round over all that is ready may take so long without requests having to wait, or as much less as is bearable.
const ROUND: Duration = Duration::from_millis(1);

/// Requests that are let in on one round.
const BATCH: usize = 8;

/// The load of one worker.
pub(super) struct Overload {
    /// `None`: nothing ever waits here, nor is refused.
    control: Option<RefCell<Control>>,
    round: Duration,
    watching: Cell<bool>,
    /// Whether a request has come since the last look.
    asked: Cell<bool>,
    /// Whether requests wait for a round.
    gated: Cell<bool>,
    /// When the round began that is under way, and how many it has let in.
    began: Cell<Duration>,
    let_in: Cell<usize>,
    /// Whether who comes is refused, until the next round, and how many were.
    full: Cell<bool>,
    turned_away: Cell<usize>,
    waiting: Waiting,
    under_way: Cell<usize>,
}

/// The request is refused: there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shed;

impl Overload {
    /// Sheds when more than `bearable` of CPU time waits.
    pub(super) fn new(bearable: Option<Duration>) -> Rc<Self> {
        Rc::new(Self {
            control: bearable.map(|bearable| RefCell::new(Control::new(bearable))),
            round: bearable.map_or(ROUND, |bearable| ROUND.min(bearable / 4)),
            watching: Cell::new(false),
            asked: Cell::new(false),
            gated: Cell::new(false),
            began: Cell::new(Duration::ZERO),
            let_in: Cell::new(0),
            full: Cell::new(false),
            turned_away: Cell::new(0),
            waiting: Waiting::default(),
            under_way: Cell::new(0),
        })
    }

    /// Waits until the request that has just come may be served; it is under way until what this returns is dropped.
    pub(super) async fn turn(self: &Rc<Self>) -> Result<UnderWay<'_>, Shed> {
        let under_way = UnderWay::new(&self.under_way);
        if self.control.is_none() {
            return Ok(under_way);
        }
        self.asked.set(true);
        if !self.watching.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).watch());
        }
        if self.full.get() {
            self.turned_away.set(self.turned_away.get() + 1);
            return Err(Shed);
        }
        if self.gated.get() && (self.let_in.get() >= BATCH || !self.waiting.is_empty()) {
            // It came since the round began, if not earlier.
            self.waiting.join(self.began.get()).await?;
        } else {
            self.let_in.set(self.let_in.get() + 1);
        }
        Ok(under_way)
    }

    /// Looks for as long as requests come: an idle process is not woken.
    async fn watch(self: Rc<Self>) {
        let Some(control) = &self.control else { return };
        loop {
            let overloaded = control.borrow().is_overload();
            if !self.asked.replace(false) && !overloaded {
                break;
            }
            tokio::time::sleep(if overloaded { SOON } else { EVERY }).await;
            self.go_round(control).await;
        }
        self.watching.set(false);
    }

    /// Goes round until nothing waits and a round is short again.
    async fn go_round(&self, control: &RefCell<Control>) {
        loop {
            let began = cpu_time();
            self.began.set(began);
            self.let_in.set(0);
            self.let_some_in(control, began);
            // Comes back behind everything that is ready to run now.
            tokio::task::yield_now().await;
            if self.waiting.is_empty() && cpu_time().saturating_sub(began) <= self.round {
                self.gated.set(false);
                self.full.set(false);
                return;
            }
            self.gated.set(true);
        }
    }

    fn let_some_in(&self, control: &RefCell<Control>, now: Duration) {
        let mut control = control.borrow_mut();
        control.have_refused(self.turned_away.take(), Instant::now());
        let oldest = self.waiting.oldest().map_or(Duration::ZERO, |since| now.saturating_sub(since));
        let order = control.look(now, oldest, self.under_way.get(), Instant::now());
        if order != Order::LetIn {
            let refused = self.waiting.refuse(now.saturating_sub(control.bearable()));
            control.have_refused(refused, Instant::now());
        }
        self.full.set(order == Order::RefuseNew);
        self.let_in.set((0..BATCH).take_while(|_| self.waiting.let_in()).count());
    }
}

/// A request is under way until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a Cell<usize>);

impl<'a> UnderWay<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
