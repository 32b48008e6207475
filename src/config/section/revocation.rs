//! `[revocation]`

use std::time::Duration;

use crate::config::keys::{DURATION, Given, Key};
use crate::config::reader::Context;

pub(in crate::config) const KEYS: &[Key] = &[Key::new(
    "max_staleness",
    DURATION,
    "How long an instance may be out of touch with the revocation log before `on_stale` applies.",
)
.default(Given::Text("5s"))];

pub(in crate::config) fn read(context: &Context<'_>) -> Option<Duration> {
    Some(context.section("revocation")?.duration("max_staleness"))
}
