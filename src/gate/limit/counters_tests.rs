use std::sync::Mutex;

use super::*;
use crate::model::Timestamp;
use crate::model::settings::{LimitKey, LimitStage};

#[derive(Default)]
struct Held(Mutex<Duration>);

impl Held {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

fn settings(count: u32, per: Duration, burst: u32) -> LimitSettings {
    LimitSettings {
        name: "l".into(),
        key: vec![LimitKey::ClientAddress],
        count,
        per,
        burst,
        stage: LimitStage::BeforeAuthentication,
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_burst_then_one_an_interval() {
    let clock = Arc::new(Held::default());
    let counters = Counters::new(&settings(6, MINUTE, 3), clock.clone());
    for _ in 0..3 {
        assert_eq!(counters.count(1), Ok(()));
    }
    assert_eq!(counters.count(1), Err(Full::Key { wait: Duration::from_secs(10) }));
    assert_eq!(counters.count(2), Ok(()), "keys are counted apart");
    clock.advance(Duration::from_secs(10));
    assert_eq!(counters.count(1), Ok(()));
    assert_eq!(counters.count(1), Err(Full::Key { wait: Duration::from_secs(10) }));
}

#[test]
fn asking_counts_nothing_and_agrees_with_counting() {
    let clock = Arc::new(Held::default());
    let counters = Counters::new(&settings(6, MINUTE, 2), clock.clone());
    for _ in 0..10 {
        assert_eq!(counters.ask(1), Ok(()));
    }
    counters.count(1).unwrap();
    assert_eq!(counters.ask(1), Ok(()));
    counters.count(1).unwrap();
    assert_eq!(counters.ask(1), Err(Full::Key { wait: Duration::from_secs(10) }));
    assert_eq!(counters.count(1), Err(Full::Key { wait: Duration::from_secs(10) }));
    clock.advance(Duration::from_secs(10));
    assert_eq!(counters.ask(1), Ok(()));
}

#[test]
fn a_full_table_refuses_new_keys_and_forgets_no_counter() {
    let clock = Arc::new(Held::default());
    let counters = Counters::of_at_most(8, &settings(1, MINUTE, 1), clock.clone());
    for key in 0..8 {
        counters.count(key).unwrap();
    }
    assert_eq!(counters.count(100), Err(Full::Table));
    assert_eq!(counters.ask(100), Err(Full::Table));
    assert_eq!(counters.count(3), Err(Full::Key { wait: MINUTE }), "the old ones are still counted");
    assert!(counters.table.states.len() <= 8);
    // Once the old ones are as if never used, there is room.
    clock.advance(MINUTE * 2);
    assert_eq!(counters.count(101), Err(Full::Table), "cleaned beside this request");
    assert_eq!(counters.count(101), Ok(()));
}

#[test]
fn limits_beyond_reason_do_not_overflow() {
    for (count, per, burst) in
        [(1, Duration::MAX, u32::MAX), (u32::MAX, Duration::from_nanos(1), u32::MAX), (0, Duration::ZERO, 0)]
    {
        let counters = Counters::new(&settings(count, per, burst), Arc::new(Held::default()));
        assert_eq!(counters.count(1), Ok(()));
        _ = counters.ask(1);
    }
}
