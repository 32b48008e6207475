//! `request_headers` and `response_headers` of a route: what is set, added and removed.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};

use crate::config::keys::{Given, Key, Shape, TEXTS};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::source::Place;
use crate::config::tree::Value;
use crate::model::header::fold;
use crate::model::reserved::{IDENTITY, IDENTITY_PREFIX, OVERRIDES, is_claim, is_hop_by_hop};
use crate::model::settings::{Accept, HeaderEdits};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "set",
        Shape::Map(&Shape::Text),
        "These have these values, whatever was there, in any spelling: `{ x-env = \"prod\" }`.",
    ),
    Key::new("add", Shape::Map(&Shape::Text), "These values come after those that are there."),
    Key::new("remove", TEXTS, "These go, in every spelling: `x-debug`, `X_Debug`.").default(Given::Texts(&[])),
];

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToUpstream,
    ToClient,
}

/// Reads `request_headers`.
pub(super) fn of_requests(route: &Section<'_>) -> HeaderEdits {
    route.table("request_headers").map(|section| read(&section, Way::ToUpstream)).unwrap_or_default()
}

/// Reads `response_headers` of a route that accepts this.
pub(super) fn of_responses(route: &Section<'_>, accept: Option<&Accept>) -> HeaderEdits {
    let Some(section) = route.table("response_headers") else { return HeaderEdits::default() };
    let edits = read(&section, Way::ToClient);
    if accept != Some(&Accept::Public) {
        check_private(&section, &edits);
    }
    edits
}

fn read(section: &Section<'_>, way: Way) -> HeaderEdits {
    let mut known = BTreeSet::new();
    let mut name = |text: &str, place: Place| {
        let name = editable(text, way, section.context).and_then(|name| {
            if known.insert(fold(name.as_str()).into_owned()) {
                return Ok(name);
            }
            let fault = Fault::new(format!("`{name}` is edited twice"));
            Err(fault.help("each name in one of `set`, `add` and `remove`; `set` removes what was there"))
        });
        name.map_err(|fault| section.context.report.problem(place, fault)).ok()
    };
    let mut pairs = |key: &str| {
        let entries = section.table(key).into_iter().flat_map(|table| table.entries().collect::<Vec<_>>());
        let mut pairs = Vec::new();
        for (text, entry) in entries {
            let Value::Text(given) = &entry.node.value else { continue };
            let value = value(given).map_err(|fault| section.context.report.problem(entry.node.place, fault));
            if let (Some(name), Ok(value)) = (name(text, entry.key), value) {
                pairs.push((name, value));
            }
        }
        pairs
    };
    let (set, add) = (pairs("set"), pairs("add"));
    let remove = section.texts("remove").filter_map(|(text, place)| name(text, place)).collect();
    HeaderEdits { set, add, remove }
}

/// A header that is the operator's to edit: not what says who somebody is or where a request comes from, what a message
/// or its connection is made of, or what another setting is for. Names are compared as the most lenient reader may read
/// them.
fn editable(text: &str, way: Way, context: &Context<'_>) -> Result<HeaderName, Fault> {
    let name: HeaderName =
        text.parse().map_err(|_| Fault::new(format!("`{text}` is no header name")).help("letters, digits and `-`"))?;
    let folded = fold(name.as_str()).into_owned();
    let why = match way {
        _ if folded == "host" => Some(("is not edited like others", "host = \"internal.example\"")),
        _ if is_hop_by_hop(&folded) => Some(("says how a message is framed, or is for one connection", LEAVE)),
        _ if folded == "content-encoding" => Some(("says how a body is coded", LEAVE)),
        _ if is_identity(&folded, context) => {
            Some(("says who somebody is, and Portcullis sets it", "identity.headers"))
        }
        _ if is_claim(&folded) => Some(("says where a request comes from, and Portcullis sets it", LEAVE)),
        _ if folded.starts_with("sec-") => Some(("is a browser's or a WebSocket's own", LEAVE)),
        Way::ToUpstream => of_request(&folded, context),
        Way::ToClient => of_response(&folded),
    };
    match why {
        None => Ok(name),
        Some((why, help)) => Err(Fault::new(format!("`{name}` {why}")).help(help)),
    }
}

const LEAVE: &str = "leave it to Portcullis";

fn of_request(folded: &str, context: &Context<'_>) -> Option<(&'static str, &'static str)> {
    let key = context.section("api_key").and_then(|section| section.text("header").map(|name| fold(name).into_owned()));
    match folded {
        "authorization" | "cookie" | "dpop" => Some(("carries credentials", "forward_credentials = true")),
        _ if key.as_deref() == Some(folded) => Some(("carries API keys", "forward_credentials = true")),
        "origin" => Some(("is a browser's own", LEAVE)),
        _ if OVERRIDES.contains(&folded) => Some(("would change the request after it was decided on", "rewrite")),
        _ => None,
    }
}

fn of_response(folded: &str) -> Option<(&'static str, &'static str)> {
    match folded {
        "set-cookie" => Some(("carries sessions", LEAVE)),
        "dpop-nonce" => Some(("is Portcullis's own", LEAVE)),
        "strict-transport-security" => Some(("is a listener's to say", "listener.NAME.hsts")),
        _ if folded.starts_with("access-control-") => Some(("is for `cors` to say", "cors = { origins = [\"…\"] }")),
        _ => None,
    }
}

pub(super) fn is_identity(folded: &str, context: &Context<'_>) -> bool {
    let same = |name: &str| fold(name) == folded;
    folded.starts_with(IDENTITY_PREFIX)
        || IDENTITY.contains(&folded)
        || context.section("assertion").and_then(|section| section.text("header")).is_some_and(same)
        || context.named("route").iter().any(|(_, route)| {
            let headers = route.table("identity").and_then(|identity| identity.table("headers"));
            headers.is_some_and(|headers| headers.entries().any(|(name, _)| same(name)))
        })
}

/// A fixed text that is one line to everybody.
fn value(text: &str) -> Result<HeaderValue, Fault> {
    let clean = !text.is_empty() && text.trim() == text && text.bytes().all(|b| matches!(b, b' '..=b'~'));
    match HeaderValue::from_str(text) {
        Ok(value) if clean => Ok(value),
        _ => {
            Err(Fault::new("no value of a header").help("one line of ASCII text, not empty, without spaces around it"))
        }
    }
}

/// What an identity was answered must not be made everybody's.
fn check_private(section: &Section<'_>, edits: &HeaderEdits) {
    for (key, list) in [("set", &edits.set), ("add", &edits.add)] {
        let opens = |(name, value): &(HeaderName, HeaderValue)| {
            fold(name.as_str()) == "cache-control"
                && !value
                    .to_str()
                    .unwrap_or_default()
                    .to_ascii_lowercase()
                    .split(',')
                    .any(|directive| matches!(directive.trim(), "private" | "no-store"))
        };
        if list.iter().any(opens) {
            let fault = Fault::new("`cache-control` without `private` on a route that accepts identities");
            section.problem(
                key,
                fault.help("\"private, max-age=600\" or \"no-store\"; answers of public routes may say more"),
            );
        }
    }
}
