//! `max_body`, `timeout` and `stream_idle` of a route: how much of anything one request may take.

use std::time::Duration;

use crate::config::keys::{Given, Key, Shape};
use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::config::units;
use crate::model::settings::RouteBounds;

/// What of them is a text of its own, since `"unlimited"` is no number.
pub(super) const MAX_BODY: Key = Key::new(
    "max_body",
    Shape::Text,
    "How large a request's body may be: `\"64KiB\"`, `\"1GiB\"`; `\"unlimited\"` for large uploads and streams of gRPC.",
)
.default(Given::Text("10MiB"));

pub(super) const TIMEOUT: Key = Key::new(
    "timeout",
    Shape::Text,
    "Until the head of the answer, where that is less than the upstream's `timeouts.total`; `\"unlimited\"`: only that counts.",
)
.default(Given::Text("unlimited"));

pub(super) const STREAM_IDLE: Key = Key::new(
    "stream_idle",
    Shape::Text,
    "How long an answer that has begun may send nothing before it is broken off; also one that is meant to be quiet.",
)
.default(Given::Text("unlimited"));

/// Reads them.
pub(super) fn read(section: &Section<'_>) -> RouteBounds {
    let default = RouteBounds::default();
    RouteBounds {
        max_body: section.parse("max_body", size).unwrap_or(default.max_body),
        timeout: section.parse("timeout", duration).unwrap_or(default.timeout),
        stream_idle: section.parse("stream_idle", duration).unwrap_or(default.stream_idle),
    }
}

const UNLIMITED: &str = "unlimited";

fn size(text: &str) -> Result<Option<u64>, Fault> {
    if text == UNLIMITED {
        return Ok(None);
    }
    let wrong = || Fault::new(format!("`{text}` is no size")).help(format!("\"{UNLIMITED}\", or {}", units::SIZE_HELP));
    units::size(text).ok().and_then(|size| u64::try_from(size).ok()).map(Some).ok_or_else(wrong)
}

fn duration(text: &str) -> Result<Option<Duration>, Fault> {
    if text == UNLIMITED {
        return Ok(None);
    }
    let wrong = || {
        Fault::new(format!("`{text}` is no time to wait")).help(format!("\"{UNLIMITED}\", or {}", units::DURATION_HELP))
    };
    units::duration(text).ok().filter(|time| !time.is_zero()).map(Some).ok_or_else(wrong)
}
