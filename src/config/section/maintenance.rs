//! `maintenance`, of everything and of one route

use super::listener;
use crate::config::keys::{DURATION, Given, Key, Shape, TEXTS};
use crate::config::reader::{Context, Section};
use crate::model::settings::MaintenanceSettings;

pub(in crate::config) const SHAPE: Shape = Shape::Either(&[Shape::Boolean, Shape::Table(KEYS)]);

const KEYS: &[Key] = &[
    Key::new("on", Shape::Boolean, "Whether it is; `false` keeps the rest at hand for `portcullis maintenance on`.")
        .default(Given::Boolean(true)),
    Key::new("retry_after", DURATION, "When clients are told to come back.").default(Given::Text("10m")),
    Key::new("allow", Shape::Table(ALLOW), "Who is served all the same.").default(Given::Table),
];

const ALLOW: &[Key] = &[Key::new("networks", TEXTS, "Clients of these networks or addresses; nobody by default.")
    .default(Given::Texts(&[]))];

/// Reads the whole instance's.
pub(in crate::config) fn read(context: &Context<'_>) -> MaintenanceSettings {
    context.whole().maintenance()
}

impl Section<'_> {
    /// Reads this section's `maintenance`: a word, or a table.
    pub(super) fn maintenance(&self) -> MaintenanceSettings {
        let Some(section) = self.table("maintenance") else {
            return MaintenanceSettings { on: self.boolean("maintenance"), ..MaintenanceSettings::default() };
        };
        let allow = section.table("allow");
        MaintenanceSettings {
            on: section.boolean("on"),
            retry_after: section.duration("retry_after"),
            networks: allow.map(|allow| allow.parse_list("networks", listener::network)).unwrap_or_default(),
        }
    }
}
