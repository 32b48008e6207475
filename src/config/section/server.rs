//! `[server]`

use crate::config::keys::{Given, Key, Shape};
use crate::config::reader::Context;
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
];

const WORKERS: Shape =
    Shape::Either(&[Shape::Integer { min: 1, max: 1024 }, Shape::Choice { now: &["auto"], later: &[] }]);

pub(in crate::config) fn read(context: &Context<'_>) -> Option<ServerSettings> {
    let section = context.section("server")?;
    Some(ServerSettings {
        workers: section.integer("workers").and_then(|n| usize::try_from(n).ok()),
        shutdown_grace: section.duration("shutdown_grace"),
        drain_delay: section.duration("drain_delay"),
    })
}
