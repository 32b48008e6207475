//! `[upstream.NAME]`: who may get requests.

use std::time::Duration;

use super::upstreams::{said, upstream};
use crate::model::settings::{Ejection, EndpointHealth, HealthCheck, Statuses, UpstreamLimits};

#[test]
fn nobody_is_asked_and_nobody_ejected_unless_said_so() {
    assert_eq!(upstream("").health, EndpointHealth::default());
    let wanted = HealthCheck {
        path: "/healthz".into(),
        host: None,
        interval: Duration::from_secs(5),
        jitter: 10,
        timeout: Duration::from_secs(2),
        healthy: 2,
        unhealthy: 3,
        pass: Statuses(vec![200..=299]),
    };
    assert_eq!(upstream("health.path = '/healthz'").health.check, Some(wanted));
    let wanted = Ejection {
        failures: 5,
        base_time: Duration::from_secs(10),
        max_time: Duration::from_secs(300),
        max_percent: 50,
        statuses: Statuses::default(),
    };
    assert_eq!(upstream("ejection = {}").health.ejection, Some(wanted));
}

#[test]
fn checks_are_as_they_are_said_to_be() {
    let health = "health = { path = '/a?b=c', host = 'orders.internal:8080', interval = '1s', jitter = '0%', timeout = '1s', \
                  healthy = 1, unhealthy = 9, status = ['200', '401-403'] }\npanic_below = '0%'\nslow_start = '30s'";
    let found = upstream(health).health;
    assert_eq!((found.panic_below, found.slow_start), (0, Some(Duration::from_secs(30))));
    let check = found.check.expect("a check");
    assert_eq!((&*check.path, check.host.as_deref()), ("/a?b=c", Some("orders.internal:8080")));
    assert_eq!((check.jitter, check.healthy, check.unhealthy), (0, 1, 9));
    assert_eq!(check.pass, Statuses(vec![200..=200, 401..=403]));
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert_eq!(said("health = {}"), ["`upstream.up.health` lacks `path`"]);
    for path in ["healthz", "http://a/healthz", "/a b", "/a#b"] {
        assert_eq!(said(&format!("health.path = '{path}'")), [format!("`{path}` is no path")]);
    }
    let health = |more: &str| said(&format!("health = {{ path = '/', {more} }}"));
    for host in ["", "a b", "user@a", "a/b", "a\\r\\nb"] {
        assert_eq!(health(&format!("host = \"{host}\"")).len(), 1, "{host}");
    }
    assert_eq!(health("interval = '1s'"), ["a check may take longer than the time from one to the next"]);
    for status in ["100", "600", "2xx", "299-200", "+200", "20", "200-"] {
        assert_eq!(health(&format!("status = '{status}'")), [format!("`{status}` is no status")]);
    }
    assert_eq!(health("status = []"), ["the list must not be empty"]);
    assert_eq!(health("unhealthy = 0"), ["`0` is out of range"]);
    assert_eq!(said("ejection.max_percent = 0"), ["`0` is out of range"]);
    assert_eq!(said("ejection.base_time = '10m'"), ["the first time would be longer than any may be"]);
    assert_eq!(said("ejection = {}\npanic_below = '101%'"), ["`101%` is no share"]);
    for alone in ["panic_below = '10%'", "slow_start = '30s'"] {
        assert_eq!(said(alone), ["without `health` or `ejection` every endpoint is taken to be well"]);
    }
}

#[test]
fn nothing_waits_and_nothing_is_counted_unless_said_so() {
    assert_eq!(upstream("").limits, UpstreamLimits::default());
    let wanted = UpstreamLimits { max_requests: Some(7), max_pending: 3, pending: Duration::from_millis(500) };
    assert_eq!(upstream("max_requests = 7\nmax_pending = 3\ntimeouts.pending = '500ms'").limits, wanted);
    assert_eq!(said("max_requests = 0"), ["`0` is out of range"]);
    assert_eq!(said("max_pending = -1"), ["`-1` is out of range"]);
}
