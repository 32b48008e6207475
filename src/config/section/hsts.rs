//! `hsts` of `[listener.NAME]`

use std::time::Duration;

use http::HeaderValue;

use crate::config::keys::{Given, Key, Shape};
use crate::config::reader::Section;
use crate::config::report::Fault;

pub(super) const SHAPE: Shape = Shape::Either(&[Shape::Choice { now: &["off"], later: &[] }, Shape::Table(KEYS)]);

const KEYS: &[Key] = &[
    Key::new("max_age", Shape::Duration { zero: true }, "How long browsers remember it; `\"0s\"` makes them forget.")
        .default(Given::Text("365d")),
    Key::new("include_subdomains", Shape::Boolean, "Whether it holds for all names below the host, too.")
        .default(Given::Boolean(false)),
    Key::new("preload", Shape::Boolean, "Whether browsers may ship with it: hard to take back.")
        .default(Given::Boolean(false)),
];

/// What the lists that browsers ship with demand.
const PRELOAD_AGE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The header's value (RFC 6797, section 6.1).
pub(super) fn read(listener: &Section<'_>) -> Option<HeaderValue> {
    let hsts = listener.table("hsts")?;
    if !listener.has("tls") {
        let fault = Fault::new("`hsts` without `tls`: browsers ignore what comes in clear text");
        listener.problem("hsts", fault.help("set it on the listener with `tls`"));
    }
    let (age, below, preload) = (hsts.duration("max_age"), hsts.boolean("include_subdomains"), hsts.boolean("preload"));
    if preload && (age < PRELOAD_AGE || !below) {
        let help = "include_subdomains = true, and a max_age of \"365d\" or more";
        hsts.problem("preload", Fault::new("browsers would not take this into their lists").help(help));
    }
    let (below, preload) = (if below { "; includeSubDomains" } else { "" }, if preload { "; preload" } else { "" });
    HeaderValue::try_from(format!("max-age={}{below}{preload}", age.as_secs())).ok()
}
