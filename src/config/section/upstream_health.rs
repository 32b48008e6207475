//! `[upstream.NAME]`: `health`, `ejection`, `panic_below`, `slow_start`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery};

use crate::config::keys::{DURATION, Given, Key, Shape, TEXTS};
use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::model::settings::{Ejection, EndpointHealth, HealthCheck, Statuses};

/// `health`
pub(super) const CHECK: &[Key] = &[
    Key::new("path", Shape::Text, "What each endpoint is asked for with `GET`.").required(),
    Key::new("host", Shape::Text, "What it is told as `Host`; its own name otherwise."),
    Key::new("interval", DURATION, "From the end of one check to the next.").default(Given::Text("5s")),
    Key::new("jitter", Shape::Text, "Most that an interval is longer than that, so that instances do not ask in step.")
        .default(Given::Text("10%")),
    Key::new("timeout", DURATION, "For a check, connection and TLS included.").default(Given::Text("2s")),
    Key::new("healthy", COUNT, "So many in a row that pass make an endpoint healthy again.").default(Given::Integer(2)),
    Key::new("unhealthy", COUNT, "So many in a row that fail make it unhealthy; the very first one does alone.")
        .default(Given::Integer(3)),
    Key::new("status", TEXTS, "The statuses that pass: `\"200-299\"`, `[\"200\", \"401\"]`.")
        .default(Given::Texts(&["200-299"])),
];

/// `ejection`
pub(super) const EJECTION: &[Key] = &[
    Key::new("failures", COUNT, "So many failed requests in a row eject an endpoint.").default(Given::Integer(5)),
    Key::new("base_time", DURATION, "For so long the first time, twice as long the second, and so on.")
        .default(Given::Text("10s")),
    Key::new("max_time", DURATION, "But never longer; after as long without an ejection it begins anew.")
        .default(Given::Text("5m")),
    Key::new(
        "max_percent",
        Shape::Integer { min: 1, max: 100 },
        "The share of the endpoints that may be ejected at once.",
    )
    .default(Given::Integer(50)),
    Key::new("statuses", TEXTS, "Statuses that are failures too: `[\"502-504\"]`.").default(Given::Texts(&[])),
];

const COUNT: Shape = Shape::Integer { min: 1, max: 1000 };

/// Reads them.
pub(super) fn read(section: &Section<'_>) -> EndpointHealth {
    let watched = section.has("health") || section.has("ejection");
    for key in ["panic_below", "slow_start"] {
        if section.is_written(key) && !watched {
            let fault = Fault::new("without `health` or `ejection` every endpoint is taken to be well");
            section.problem(key, fault.help("health = { path = \"/healthz\" }"));
        }
    }
    EndpointHealth {
        check: section.table("health").and_then(|health| check(&health)),
        ejection: section.table("ejection").map(|table| ejection(&table)),
        panic_below: section.parse("panic_below", percent).unwrap_or(0),
        slow_start: section.has("slow_start").then(|| section.duration("slow_start")),
    }
}

fn check(section: &Section<'_>) -> Option<HealthCheck> {
    let (interval, timeout) = (section.duration("interval"), section.duration("timeout"));
    if timeout > interval {
        let fault = Fault::new("a check may take longer than the time from one to the next");
        section.problem("timeout", fault.help("no more than `interval`"));
    }
    section.not_empty("status", "leave the key out, or name at least one");
    Some(HealthCheck {
        path: section.parse("path", path)?,
        host: section.parse("host", host),
        interval,
        jitter: section.parse("jitter", percent)?,
        timeout,
        healthy: number(section, "healthy"),
        unhealthy: number(section, "unhealthy"),
        pass: statuses(section, "status"),
    })
}

fn ejection(section: &Section<'_>) -> Ejection {
    let (base_time, max_time) = (section.duration("base_time"), section.duration("max_time"));
    if base_time > max_time {
        let fault = Fault::new("the first time would be longer than any may be");
        section.problem("base_time", fault.help("no more than `max_time`"));
    }
    Ejection {
        failures: number(section, "failures"),
        base_time,
        max_time,
        max_percent: number(section, "max_percent"),
        statuses: statuses(section, "statuses"),
    }
}

fn number(section: &Section<'_>, key: &str) -> u32 {
    section.integer(key).and_then(|number| u32::try_from(number).ok()).unwrap_or(1)
}

fn statuses(section: &Section<'_>, key: &str) -> Statuses {
    Statuses(section.parse_list(key, status))
}

/// `"200"` or `"200-299"`.
fn status(text: &str) -> Result<RangeInclusive<u16>, Fault> {
    let wrong =
        || Fault::new(format!("`{text}` is no status")).help("from \"200\" to \"599\", or a range: \"200-299\"");
    let one = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| digits && (200..600).contains(status)).ok_or_else(wrong)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = one(first)?..=one(last)?;
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}

fn path(text: &str) -> Result<Arc<str>, Fault> {
    match text.parse::<PathAndQuery>() {
        Ok(path) if text.starts_with('/') && path.as_str() == text => Ok(text.into()),
        _ => Err(Fault::new(format!("`{text}` is no path")).help("\"/healthz\"")),
    }
}

fn host(text: &str) -> Result<Arc<str>, Fault> {
    match text.parse::<Authority>() {
        Ok(host) if !host.host().is_empty() && !text.contains('@') => Ok(text.into()),
        _ => Err(Fault::new(format!("`{text}` is no host")).help("\"orders.internal\" or \"orders.internal:8080\"")),
    }
}

/// From 0 to 100.
fn percent(text: &str) -> Result<u32, Fault> {
    match text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok()) {
        Some(share @ 0..=100) => Ok(share),
        _ => Err(Fault::new(format!("`{text}` is no share")).help("from \"0%\" to \"100%\"")),
    }
}
