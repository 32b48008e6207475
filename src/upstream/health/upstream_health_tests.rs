use std::time::Duration;

use super::*;
use crate::model::settings::{Ejection, EndpointHealth, HealthCheck, Scheme, Statuses};
use crate::upstream::health::Conditions;
use crate::upstream::testing::settings;

fn endpoints(count: u16) -> Vec<Endpoint> {
    let endpoint = |port| Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port, weight: 1 };
    (1..=count).map(endpoint).collect()
}

fn health_of(count: u16, health: EndpointHealth) -> UpstreamHealth {
    UpstreamHealth::new(&Arc::new(UpstreamSettings { health, ..settings(endpoints(count)) }), None)
}

fn ejection() -> Ejection {
    Ejection {
        failures: 3,
        base_time: seconds(10),
        max_time: seconds(25),
        max_percent: 50,
        statuses: Statuses(vec![502..=504]),
    }
}

fn ejecting(count: u16) -> UpstreamHealth {
    health_of(count, EndpointHealth { ejection: Some(ejection()), ..EndpointHealth::default() })
}

fn checking() -> HealthCheck {
    HealthCheck {
        path: "/".into(),
        host: None,
        interval: seconds(5),
        jitter: 0,
        timeout: seconds(1),
        healthy: 2,
        unhealthy: 3,
        pass: Statuses(vec![200..=299]),
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn fail(health: &UpstreamHealth, at: u32, times: u32, now: Instant) {
    for _ in 0..times {
        health.failed_at(at, &"no", now);
    }
}

fn positions(positions: &[u32]) -> Set {
    Set::of(positions.iter().copied())
}

fn usable(health: &UpstreamHealth, now: Instant) -> Set {
    health.usable_at(now).set
}

/// What a check has found, without a word in the log's way.
fn checked(health: &UpstreamHealth, at: usize, healthy: bool) {
    let outcome = if healthy { Ok(()) } else { Err("no".to_owned()) };
    health.checked(&health.endpoints[at], &outcome);
}

#[test]
fn failures_in_a_row_eject_for_a_while_and_for_longer_each_time() {
    let health = ejecting(4);
    let start = Instant::now();
    fail(&health, 1, 2, start);
    assert_eq!(usable(&health, start), positions(&[0, 1, 2, 3]));
    fail(&health, 1, 1, start);
    let mut now = start;
    for time in [10, 20, 25, 25] {
        assert_eq!(usable(&health, now + seconds(time) - Duration::from_millis(1)), positions(&[0, 2, 3]), "{time}");
        now += seconds(time);
        assert_eq!(usable(&health, now), positions(&[0, 1, 2, 3]), "{time}");
        fail(&health, 1, 2, now);
        assert_eq!(usable(&health, now), positions(&[0, 1, 2, 3]), "it is counted anew");
        fail(&health, 1, 1, now);
    }
    now += seconds(25 + 25);
    assert_eq!(usable(&health, now), positions(&[0, 1, 2, 3]));
    fail(&health, 1, 3, now);
    assert_eq!(usable(&health, now + seconds(10)), positions(&[0, 1, 2, 3]), "after a quiet time it begins anew");
}

#[test]
fn an_answer_in_between_forgives_failures_and_a_bad_status_does_not() {
    let health = ejecting(4);
    let now = Instant::now();
    for _ in 0..5 {
        fail(&health, 0, 2, now);
        health.answered(0, 500);
    }
    assert_eq!(usable(&health, now), positions(&[0, 1, 2, 3]));
    fail(&health, 0, 2, now);
    health.answered(0, 503);
    assert_eq!(usable(&health, Instant::now()), positions(&[1, 2, 3]));
}

#[test]
fn no_more_than_a_share_is_ejected_at_once() {
    let now = Instant::now();
    for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
        let health = ejecting(count);
        for at in 0..count {
            fail(&health, at.into(), 30, now);
        }
        let ejected = health.endpoints.iter().filter(|watched| watched.condition.is_ejected(now)).count();
        assert_eq!(ejected, most, "of {count}");
        assert_eq!(health.endpoints.iter().map(|watched| watched.ejections.load(Relaxed)).sum::<u64>(), most as u64);
    }
}

#[test]
fn without_an_ejection_failures_mean_nothing() {
    let health = health_of(2, EndpointHealth::default());
    fail(&health, 0, 100, Instant::now());
    assert_eq!(health.usable().set, positions(&[0, 1]));
    assert!(health.usable().returning.is_none(), "nobody has to ask for the time");
}

#[test]
fn until_checks_have_found_something_an_endpoint_counts_as_healthy() {
    let check = EndpointHealth { check: Some(checking()), ..EndpointHealth::default() };
    let health = health_of(2, check);
    let standings = |health: &UpstreamHealth| health.standings().map(|(_, standing, _)| standing).collect::<Vec<_>>();
    assert_eq!(health.usable().set, positions(&[0, 1]));
    assert_eq!(standings(&health), [Standing::Unchecked; 2]);
    checked(&health, 0, false);
    checked(&health, 1, true);
    assert_eq!(health.usable().set, positions(&[1]));
    assert_eq!(standings(&health), [Standing::Unhealthy, Standing::Healthy]);
    assert_eq!(health.standings().next().unwrap().2.as_deref(), Some("no"), "it says why");
    checked(&health, 0, true);
    assert_eq!(health.usable().set, positions(&[0, 1]));
    assert_eq!(health.standings().next().unwrap().2, None);
}

#[test]
fn where_too_few_are_well_all_get_requests() {
    let with = |panic_below| {
        health_of(4, EndpointHealth { check: Some(checking()), panic_below, ..EndpointHealth::default() })
    };
    let after = |panic_below, unhealthy: usize| {
        let health = with(panic_below);
        (0..unhealthy).for_each(|at| checked(&health, at, false));
        health.usable().set
    };
    assert_eq!(after(50, 2), positions(&[2, 3]), "half is not fewer than half");
    assert_eq!(after(50, 3), positions(&[0, 1, 2, 3]));
    assert_eq!(after(51, 2), positions(&[0, 1, 2, 3]));
    assert_eq!(after(1, 4), positions(&[0, 1, 2, 3]));
    assert_eq!(after(0, 3), positions(&[3]));
    assert_eq!(after(0, 4), positions(&[]), "never means never");
}

#[test]
fn operators_are_told_that_too_few_are_well() {
    let health = EndpointHealth { check: Some(checking()), panic_below: 50, ..EndpointHealth::default() };
    let settings = Arc::new(UpstreamSettings { health, ..settings(endpoints(4)) });
    let conditions = Conditions::new(std::slice::from_ref(&settings));
    let health = conditions.of(&settings);
    let panics = |at| {
        checked(&health, at, false);
        conditions.standings()[0].panic
    };
    assert_eq!([0, 1, 2].map(panics), [false, false, true]);
}

#[test]
fn who_comes_back_gets_its_share_little_by_little() {
    let slow = || EndpointHealth { slow_start: Some(seconds(20)), ..EndpointHealth::default() };
    let health = health_of(4, EndpointHealth { ejection: Some(ejection()), ..slow() });
    let now = Instant::now();
    fail(&health, 2, 3, now);
    let back = now + seconds(10);
    assert_eq!(usable(&health, back), positions(&[0, 1, 2, 3]));
    let parts = [0, 1, 5, 10, 19, 20, 30].map(|time| health.part(2, back + seconds(time)));
    assert_eq!(parts, [10, 10, 25, 50, 95, 100, 100]);
    assert_eq!(health.part(0, back), 100);
    assert!(health.usable().returning.is_none(), "and then all is as before");

    let health = health_of(2, EndpointHealth { check: Some(checking()), ..slow() });
    checked(&health, 0, true);
    assert_eq!(health.part(0, Instant::now()), 100, "nobody who never was unhealthy comes back");
    checked(&health, 0, false);
    checked(&health, 0, true);
    assert_eq!(health.standings().next().unwrap().1, Standing::Returning);
    let part = health.part(0, Instant::now() + seconds(10));
    assert!((49..100).contains(&part), "{part}");
}

#[test]
fn what_is_known_outlives_other_settings() {
    let checks = EndpointHealth { check: Some(checking()), ..EndpointHealth::default() };
    let before = health_of(3, checks.clone());
    checked(&before, 1, false);
    let with = |health, endpoints: Vec<Endpoint>| {
        UpstreamHealth::new(&Arc::new(UpstreamSettings { health, ..settings(endpoints) }), Some(&before))
    };
    let mut other = endpoints(4);
    other.remove(0);
    other[0].weight = 7;
    let after = with(checks, other);
    assert_eq!(after.usable().set, positions(&[1, 2]));
    checked(&after, 0, true);
    assert_eq!(before.usable().set, positions(&[0, 1, 2]), "old requests learn of it too");

    checked(&before, 1, false);
    let unchecked = with(EndpointHealth::default(), endpoints(3));
    assert_eq!(unchecked.usable().set, positions(&[0, 1, 2]), "nobody would ever find it healthy again");
}
