//! `[dpop]`

use std::time::Duration;

use crate::config::keys::{CAP, DURATION, Given, Key, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::settings::{Algorithm, DpopSettings, ReplayScope, StoreKind, StoreSettings};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "algorithms",
        Shape::List(&Shape::Choice { now: ALGORITHMS, later: &[] }),
        "Algorithms that a proof may be signed with.",
    )
    .default(Given::Texts(&["ES256", "ES384", "EdDSA", "RS256", "PS256"])),
    Key::new("max_age", DURATION, "How old a proof may be: by its nonce where there are nonces, else by its `iat`.")
        .default(Given::Text("60s")),
    Key::new("leeway", Shape::Duration { zero: true }, "How far the clocks of clients may be ahead.")
        .default(Given::Text("5s")),
    Key::new(
        "replay",
        Shape::Choice { now: &["instance", "shared"], later: &[] },
        "Who remembers used proofs: each instance its own, or the store on Redis for all, at one call for each request.",
    )
    .default(Given::Text("instance")),
    Key::new(
        "nonce",
        Shape::Boolean,
        "Whether a proof must contain a nonce that this instance gave out; `replay = \"instance\"` needs it. Default: true, with `replay = \"shared\"` false.",
    ),
    Key::new(
        "max_remembered",
        CAP,
        "How many used proofs an instance remembers at most; beyond, proofs are refused (503) until others have expired.",
    )
    .default(Given::Integer(1_000_000)),
];

const ALGORITHMS: &[&str] = &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// A proof that may be older proves little of the present, and each is remembered for so long.
const LONGEST_AGE: Duration = Duration::from_secs(600);
/// Clocks further apart are broken.
const LONGEST_LEEWAY: Duration = Duration::from_secs(60);

pub(in crate::config) fn read(context: &Context<'_>, store: Option<&StoreSettings>) -> Option<DpopSettings> {
    let section = context.section("dpop")?;
    section.not_empty("algorithms", "leave it out for the usual ones");
    let (max_age, leeway) = (section.duration("max_age"), section.duration("leeway"));
    if max_age > LONGEST_AGE {
        section.problem("max_age", Fault::new("a proof of more than 10 minutes ago proves little of the present"));
    }
    if leeway > LONGEST_LEEWAY {
        section.problem("leeway", Fault::new("a leeway of more than a minute is no difference of clocks"));
    }
    let replay = match section.text("replay")? {
        "shared" => ReplayScope::Shared,
        _ => ReplayScope::Instance,
    };
    let nonce = if section.has("nonce") { section.boolean("nonce") } else { replay == ReplayScope::Instance };
    check(&section, replay, nonce, store);
    Some(DpopSettings {
        algorithms: section.texts("algorithms").filter_map(|(text, _)| Algorithm::parse(text)).collect(),
        max_age,
        leeway,
        replay,
        nonce,
        max_remembered: section.count("max_remembered"),
    })
}

fn check(section: &Section<'_>, replay: ReplayScope, nonce: bool, store: Option<&StoreSettings>) {
    match replay {
        ReplayScope::Instance if !nonce => {
            let fault = Fault::new("without nonces a proof that one instance has seen would count on another");
            section.problem("nonce", fault.help("leave it out, or say dpop.replay = \"shared\""));
        }
        ReplayScope::Shared if store.is_some_and(|store| matches!(store.kind, StoreKind::Memory { .. })) => {
            let fault = Fault::new("`shared` needs a store that instances share, and `store.url` is `memory:`");
            section.problem("replay", fault.help("store.url = \"redis://HOST:6379\", or replay = \"instance\""));
        }
        _ => {}
    }
}
