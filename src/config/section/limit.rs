//! `[limit.NAME]`

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::keys::{CAP, Given, Key, Later, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::units;
use crate::model::settings::{LimitKey, LimitSettings, LimitStage};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("key", Shape::List(&KEY), "What is counted apart; several make a tuple.")
        .default(Given::Texts(&["client.address"])),
    Key::new("rate", Shape::Text, "How many in how long: `\"50/s\"`, `\"600/m\"`, `\"5/15m\"`.").required(),
    Key::new("burst", CAP, "How many at once; default: the number in `rate`."),
    Key::new(
        "stage",
        Shape::Choice { now: &["before_authentication", "after_authentication", "failed_authentication"], later: &[] },
        "When it is asked; default: before, for a key of the client's address alone, else after.",
    ),
    Key::new(
        "counter",
        Shape::Choice {
            now: &["local"],
            later: &[Later::new(
                "shared",
                "shared limits need a Redis store (on `memory:` every instance counts for itself): counter = \"local\"",
            )],
        },
        "Where it is counted.",
    )
    .default(Given::Text("local")),
    Key::later("on_outage"),
];

const KEY: Shape = Shape::Choice {
    now: &["client.address", "identity.principal", "credential.id", "identity.tenant"],
    later: &[Later::new("header", "one of `client.address`, `identity.principal`, `credential.id`, `identity.tenant`")],
};

pub(in crate::config) fn read(context: &Context<'_>) -> BTreeMap<Arc<str>, LimitSettings> {
    let named = context.named("limit");
    named.into_iter().filter_map(|(name, section)| Some((name.clone(), limit(name, &section)?))).collect()
}

fn limit(name: Arc<str>, section: &Section<'_>) -> Option<LimitSettings> {
    section.not_empty("key", "key = [\"client.address\"]");
    let key: Vec<LimitKey> = section.texts("key").filter_map(|(text, _)| part(text)).collect();
    let by_address = key == [LimitKey::ClientAddress];
    let stage = match section.text("stage") {
        Some("before_authentication") => LimitStage::BeforeAuthentication,
        Some("failed_authentication") => LimitStage::FailedAuthentication,
        Some(_) => LimitStage::AfterAuthentication,
        None if by_address => LimitStage::BeforeAuthentication,
        None => LimitStage::AfterAuthentication,
    };
    if stage != LimitStage::AfterAuthentication && !by_address && !key.is_empty() {
        let fault = Fault::new("nobody is known at this stage, so only the client's address can be counted");
        section.problem("stage", fault.help("key = [\"client.address\"], or stage = \"after_authentication\""));
    }
    let (count, per) = section.parse("rate", units::rate)?;
    let burst = section.integer("burst").and_then(|burst| u32::try_from(burst).ok()).unwrap_or(count);
    Some(LimitSettings { name, key, count, per, burst, stage })
}

fn part(text: &str) -> Option<LimitKey> {
    Some(match text {
        "client.address" => LimitKey::ClientAddress,
        "identity.principal" => LimitKey::Principal,
        "credential.id" => LimitKey::Credential,
        "identity.tenant" => LimitKey::Tenant,
        _ => return None,
    })
}
