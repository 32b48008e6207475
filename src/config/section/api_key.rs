//! `[api_key]`

use super::header;
use crate::config::keys::{Given, Key, Shape};
use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::model::settings::ApiKeySettings;

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("header", Shape::Text, "The header that carries a key; `Authorization: Bearer` always may.")
        .default(Given::Text("x-api-key")),
    Key::new("environment", Shape::Text, "The `<env>` part of keys that are made here: `pc_<env>_…`.")
        .default(Given::Text("live")),
];

pub(in crate::config) fn read(context: &Context<'_>) -> Option<ApiKeySettings> {
    let section = context.section("api_key")?;
    let header = section.parse("header", |text| {
        if text.eq_ignore_ascii_case("authorization") {
            let fault = Fault::new("`Authorization: Bearer` always carries keys");
            return Err(fault.help("name another header, or leave it out"));
        }
        header::own(text)
    });
    let environment = section.parse("environment", |text| {
        if text.len() <= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(text.into());
        }
        Err(Fault::new("not an environment's name").help("up to 16 letters and digits: \"live\", \"test\""))
    });
    Some(ApiKeySettings { header: header?, environment: environment? })
}
