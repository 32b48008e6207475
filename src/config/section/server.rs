//! `[server]`

use std::time::Duration;

use crate::config::keys::{Given, Key, Shape};
use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::config::units::duration;
use crate::model::settings::ServerSettings;

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("workers", WORKERS, "Request-serving threads; `\"auto\"` follows the CPU quota of the cgroup.")
        .default(Given::Text("auto")),
    Key::new(
        "shutdown_grace",
        Shape::Duration { zero: true },
        "How long requests in flight may take once draining has begun.",
    )
    .default(Given::Text("30s")),
    Key::new(
        "drain_delay",
        Shape::Duration { zero: true },
        "How long to go on accepting after becoming unready; \"5s\" in Kubernetes.",
    )
    .default(Given::Text("0s")),
    Key::new(
        "shed_above",
        Shape::Text,
        "How long requests may wait for a worker that is overloaded, in CPU time, before they are refused with 503 \
         (`overloaded`); `\"off\"`: they never are.",
    )
    .default(Given::Text("10ms")),
    Key::new(
        "watch",
        Shape::Boolean,
        "Whether a file that changes (this one, certificates, keys, secrets) brings about a reload.",
    )
    .default(Given::Boolean(true)),
    Key::new(
        "certificate_warning",
        Shape::Duration { zero: true },
        "How long before a certificate or revocation list ends it is logged once a day and told by `/readyz`; at most a \
         quarter of its lifetime.",
    )
    .default(Given::Text("7d")),
];

const WORKERS: Shape =
    Shape::Either(&[Shape::Integer { min: 1, max: 1024 }, Shape::Choice { now: &["auto"], later: &[] }]);

fn shed_above(text: &str) -> Result<Option<Duration>, Fault> {
    if text == "off" {
        return Ok(None);
    }
    match duration(text) {
        Ok(work) if !work.is_zero() => Ok(Some(work)),
        _ => Err(Fault::new(format!("`{text}` is no amount of work")).help("\"off\", or CPU time: \"1ms\", \"10ms\"")),
    }
}

pub(in crate::config) fn read(context: &Context<'_>) -> Option<ServerSettings> {
    let section = context.section("server")?;
    Some(ServerSettings {
        workers: section.integer("workers").and_then(|n| usize::try_from(n).ok()),
        shutdown_grace: section.duration("shutdown_grace"),
        drain_delay: section.duration("drain_delay"),
        shed_above: section.parse("shed_above", shed_above).flatten(),
        watch: section.boolean("watch"),
        certificate_warning: section.duration("certificate_warning"),
    })
}
