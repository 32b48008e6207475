use std::collections::VecDeque;

use super::*;

const BEARABLE: Duration = Duration::from_millis(5);
const ANSWER: Duration = Duration::from_micros(100);
const REFUSAL: Duration = Duration::from_micros(15);

/// A core that does one thing after the other, in the order in which they came, and never rests.
struct Core {
    control: Control,
    start: Instant,
    clock: Duration,
    next_arrival: Duration,
    next_look: Duration,
    queue: VecDeque<Work>,
}

enum Work {
    Request(Duration),
    Look,
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
        Self { control, start, clock: zero, next_arrival: zero, next_look: zero, queue: VecDeque::new() }
    }

    /// Lets that many requests a second come, for so many milliseconds.
    fn run(&mut self, rate: u32, millis: u64) -> Outcome {
        let mut outcome = Outcome::default();
        let end = self.clock + Duration::from_millis(millis);
        self.next_arrival = self.next_arrival.max(self.clock);
        while self.clock < end {
            while self.next_arrival <= self.clock {
                self.queue.push_back(Work::Request(self.next_arrival));
                self.next_arrival += Duration::from_secs(1) / rate;
            }
            if self.next_look <= self.clock {
                self.control.begin(self.clock);
                self.queue.push_back(Work::Look);
                self.next_look = Duration::MAX;
            }
            let now = self.start + self.clock;
            match self.queue.pop_front() {
                None => self.clock = self.next_arrival.min(self.next_look),
                Some(Work::Look) => {
                    let pause = self.control.end(self.clock, now).unwrap_or(Duration::from_micros(1));
                    self.next_look = self.clock + pause;
                }
                Some(Work::Request(_)) if self.control.sheds(self.clock, now) => {
                    outcome.refused += 1;
                    self.clock += REFUSAL;
                }
                Some(Work::Request(came)) => {
                    outcome.waits.push(self.clock - came);
                    self.clock += ANSWER;
                }
            }
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
    for rate in [11_000, 15_000, 20_000, 40_000] {
        let mut core = Core::new();
        core.run(rate, 1_000);
        let outcome = core.run(rate, 3_000);
        assert!(outcome.worst() <= 2 * BEARABLE, "{rate}: {:?}", outcome.worst());
        // What is left of the core once everybody has been refused who is, in answers.
        let refusing = REFUSAL * u32::try_from(outcome.refused).unwrap();
        let possible = (Duration::from_secs(3) - refusing).as_secs_f64() / ANSWER.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let answered = outcome.waits.len() as f64;
        assert!(answered > 0.95 * possible, "{rate}: {answered} of {possible}");
    }
}

#[test]
fn a_burst_is_no_overload() {
    let mut core = Core::new();
    for _ in 0..20 {
        let burst = core.run(20_000, 30);
        assert_eq!((burst.refused, core.run(1_000, 60).refused), (0, 0));
    }
}

#[test]
fn an_enormous_backlog_is_an_overload_at_once() {
    let mut control = Control::new(BEARABLE);
    let now = Instant::now();
    control.begin(Duration::ZERO);
    control.end(9 * BEARABLE, now);
    assert!(control.sheds(9 * BEARABLE, now));
}

#[test]
fn when_it_is_over_everybody_is_let_in_at_once() {
    let mut core = Core::new();
    assert!(core.run(30_000, 3_000).refused > 10_000);
    core.run(5_000, 20);
    assert_eq!(core.run(5_000, 2_000).refused, 0);
    assert!(core.control.overload.is_none());
}
