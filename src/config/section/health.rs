//! `[health]`

use super::listener::socket;
use crate::config::keys::{Key, Shape};
use crate::config::reader::Context;
use crate::model::settings::HealthSettings;

pub(in crate::config) const KEYS: &[Key] =
    &[Key::new("bind", Shape::Text, "Address and port of `/livez`, `/readyz` and `/metrics`.").required()];

pub(in crate::config) fn read(context: &Context<'_>) -> Option<HealthSettings> {
    Some(HealthSettings { bind: context.section("health")?.parse("bind", socket)? })
}
