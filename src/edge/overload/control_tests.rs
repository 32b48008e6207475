use std::collections::VecDeque;

use super::*;

const BEARABLE: Duration = Duration::from_millis(5);
const READING: Duration = Duration::from_micros(10);
const ANSWER: Duration = Duration::from_micros(90);
const REFUSAL: Duration = Duration::from_micros(10);
const BATCH: usize = 8;

/// A core that goes round what is ready, as the real one does, and never rests.
struct Core {
    control: Control,
    start: Instant,
    clock: Duration,
    next_arrival: Duration,
    queue: VecDeque<Duration>,
    full: bool,
}

/// What became of the requests.
#[derive(Debug, Default)]
struct Outcome {
    refused: usize,
    /// How long each that was let in had waited.
    waits: Vec<Duration>,
}

impl Outcome {
    fn worst(&self) -> Duration {
        self.waits.iter().copied().max().unwrap_or_default()
    }
}

impl Core {
    fn new() -> Self {
        let zero = Duration::ZERO;
        let (control, start) = (Control::new(BEARABLE), Instant::now());
        Self { control, start, clock: zero, next_arrival: zero, queue: VecDeque::new(), full: false }
    }

    /// One round; `true` for each that was answered, `false` for each that was refused.
    fn go_round(&mut self, outcome: &mut Outcome) -> Vec<bool> {
        let began = self.clock;
        let oldest = self.queue.front().map_or(Duration::ZERO, |came| began.saturating_sub(*came));
        let order = self.control.look(began, oldest, self.queue.len(), self.start + began);
        self.full = order == Order::RefuseNew;
        let mut ends = Vec::new();
        while order != Order::LetIn && self.queue.pop_front_if(|came| *came + BEARABLE < began).is_some() {
            self.refuse(outcome);
            ends.push(false);
        }
        for _ in 0..BATCH {
            let Some(came) = self.queue.pop_front() else { break };
            outcome.waits.push(self.clock.saturating_sub(came));
            self.clock += ANSWER;
            ends.push(true);
        }
        ends
    }

    /// Reads one that came then; whether it is refused.
    fn read(&mut self, came: Duration, outcome: &mut Outcome) -> bool {
        self.clock += READING;
        if self.full {
            self.refuse(outcome);
        } else {
            self.queue.push_back(came);
        }
        self.full
    }

    fn refuse(&mut self, outcome: &mut Outcome) {
        self.clock += REFUSAL;
        outcome.refused += 1;
        self.control.have_refused(1, self.start + self.clock);
    }

    /// Lets that many requests a second come, for so many milliseconds, whatever becomes of them.
    fn run(&mut self, rate: u32, millis: u64) -> Outcome {
        let mut outcome = Outcome::default();
        let end = self.clock + Duration::from_millis(millis);
        self.next_arrival = self.next_arrival.max(self.clock);
        while self.clock < end {
            while self.next_arrival <= self.clock {
                self.read(self.next_arrival, &mut outcome);
                self.next_arrival += Duration::from_secs(1) / rate;
            }
            if self.go_round(&mut outcome).is_empty() {
                self.clock = self.next_arrival;
            }
        }
        outcome
    }

    /// Lets so many clients ask, each again once it is answered, for so many milliseconds.
    fn run_in_turn(&mut self, clients: usize, millis: u64) -> Outcome {
        let mut outcome = Outcome::default();
        let end = self.clock + Duration::from_millis(millis);
        let mut asking = clients;
        while self.clock < end {
            // Who is refused as it comes asks again at once.
            let refused = (0..asking).filter(|_| self.read(self.clock, &mut outcome)).count();
            asking = refused + self.go_round(&mut outcome).len();
        }
        outcome
    }
}

#[test]
fn below_capacity_nobody_is_refused() {
    assert_eq!(Core::new().run(9_900, 5_000).refused, 0);
}

#[test]
fn beyond_capacity_who_is_let_in_waits_no_longer_than_is_bearable() {
    for rate in [10_500, 12_000, 15_000, 20_000, 40_000] {
        let mut core = Core::new();
        core.run(rate, 2_000);
        let outcome = core.run(rate, 3_000);
        assert!(outcome.refused > 0 && outcome.worst() <= BEARABLE * 5 / 4, "{rate}: {:?}", outcome.worst());
        // What is left of the core once all have been read and everybody has been refused who is, in answers.
        let refusing = (REFUSAL + READING) * u32::try_from(outcome.refused).unwrap();
        let possible = (Duration::from_secs(3) - refusing).as_secs_f64() / (ANSWER + READING).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let answered = outcome.waits.len() as f64;
        assert!(answered > 0.95 * possible, "{rate}: {answered} of {possible}");
    }
}

#[test]
fn an_overload_is_noticed_before_anybody_has_waited_for_long() {
    for rate in [12_000, 15_000, 20_000] {
        let outcome = Core::new().run(rate, 2_000);
        assert!(outcome.worst() <= 5 * BEARABLE, "{rate}: {:?}", outcome.worst());
        let long = outcome.waits.iter().filter(|wait| **wait > 2 * BEARABLE).count();
        assert!(long * 100 <= 2 * outcome.waits.len(), "{rate}: {long} of {}", outcome.waits.len());
    }
}

#[test]
fn clients_that_wait_for_each_other_are_no_overload() {
    for clients in [1, 16, 100, 256] {
        assert_eq!(Core::new().run_in_turn(clients, 5_000).refused, 0, "{clients}");
    }
    // They would wait for longer than anybody is willing to.
    assert!(Core::new().run_in_turn(1_000, 1_000).refused > 0);
}

#[test]
fn a_burst_is_no_overload() {
    let mut core = Core::new();
    for _ in 0..20 {
        // Hundreds in a moment, and twice as many as can be answered for a little while.
        let mut outcome = Outcome::default();
        for _ in 0..300 {
            core.read(core.clock, &mut outcome);
        }
        let refused = outcome.refused + core.run(1_000, 60).refused + core.run(20_000, 15).refused;
        assert_eq!((refused, core.run(1_000, 60).refused), (0, 0));
    }
}

#[test]
fn when_it_is_over_everybody_is_let_in_at_once() {
    let mut core = Core::new();
    assert!(core.run(30_000, 3_000).refused > 10_000);
    core.run(5_000, 20);
    assert_eq!(core.run(5_000, 2_000).refused, 0);
    assert!(!core.control.is_overload());
}
