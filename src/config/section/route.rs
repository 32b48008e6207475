//! `[route.NAME]` and `[defaults]`

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    accept, bounds, conflicts, cors, edits, identity, listener, maintenance, pattern, policy, redirects, rewrite, rule,
    upstream,
};
use crate::config::keys::{Given, Key, Shape, TEXTS};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::source::Place;
use crate::config::tree::{Entry, Node, Table, Value};
use crate::config::units;
use crate::model::settings::{
    OnStale, PathTolerance, RoleTable, RouteChanges, RouteMatch, RouteSettings, Rules, StreamGrace,
};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("match", TEXTS, "What it matches: `\"[METHOD ][host]/path\"`, with `{name}` and a last `{*rest}`.").required(),
    Key::new(
        "accept",
        TEXTS,
        "What it accepts: `session`, `jwt`, `jwt:NAME`, `api_key`, `mtls`, `mtls+jwt`; `\"anyone\"` alone makes it public.",
    )
    .required(),
    Key::new("limits", TEXTS, "Names of limits.").default(Given::Texts(&[])),
    Key::new("policies", TEXTS, "Names of policies, whose rules count as if they stood here.").default(Given::Texts(&[])),
    Key::new("allow", rule::RULES, "Where there are rules, one must match."),
    Key::new("deny", rule::RULES, "Any rule that matches refuses."),
    Key::new("upstream", Shape::Text, "The name of an upstream, or a URL.").required(),
    Key::new("listeners", TEXTS, "Which listeners serve it; needed where there are several."),
    Key::new("identity", Shape::Table(identity::KEYS), "How the upstream learns who it is.").default(Given::Table),
    Key::new(
        "on_stale",
        Shape::Choice { now: &["deny", "allow"], later: &[] },
        "What counts while the revocation log is stale: 503, also for live streams, which end; or what is known.",
    )
    .default(Given::Text("deny")),
    Key::new(
        "stream_grace",
        Shape::Text,
        "How long a live stream (WebSocket, SSE, gRPC, a long upload or download) may go on once its credential is revoked or \
         expired, or the revocation log is stale where `on_stale` is `deny`; `\"unlimited\"`: to its own end.",
    )
    .default(Given::Text("0s")),
    Key::new("origins", TEXTS, "Other origins that may use cookies and open WebSockets.").default(Given::Texts(&[])),
    Key::new(
        "rewrite",
        Shape::Text,
        "The path that the upstream is asked for, of what `match` captures: `\"/internal/{owner}/{*rest}\"`. The query stays.",
    ),
    Key::new(
        "strip_prefix",
        Shape::Text,
        "Instead of `rewrite`: these first segments of the path are left out, `\"/api\"`.",
    ),
    Key::new(
        "host",
        Shape::Text,
        "What the upstream is told as `Host`, instead of what the client said: `\"internal.example:8080\"`.",
    ),
    Key::new("request_headers", Shape::Table(edits::KEYS), "Edits of headers on their way to the upstream."),
    Key::new("response_headers", Shape::Table(edits::KEYS), "Edits of headers of the upstream's answers."),
    bounds::MAX_BODY,
    bounds::TIMEOUT,
    bounds::STREAM_IDLE,
    Key::new(
        "cors",
        Shape::Table(cors::KEYS),
        "Which other origins' pages may read answers; preflights are answered here. Absent: that is the upstream's matter.",
    ),
    Key::new("forward_credentials", Shape::Boolean, "Whether credentials that Portcullis used are forwarded.")
        .default(Given::Boolean(false)),
    Key::new("websocket_bearer", Shape::Boolean, "Whether WebSocket clients may send a bearer token in `Sec-WebSocket-Protocol`.")
        .default(Given::Boolean(false)),
    Key::new(
        "security_headers",
        Shape::Choice { now: &["none", "standard"], later: &[] },
        "`\"standard\"`: `X-Content-Type-Options`, `Referrer-Policy` and `X-Frame-Options` where the upstream says nothing.",
    )
    .default(Given::Text("none")),
    Key::new(
        "early_hints",
        Shape::Boolean,
        "Whether clients get the upstream's `103 Early Hints`, of which some of HTTP/1.1 take the first for the answer.",
    )
    .default(Given::Boolean(false)),
    Key::new("maintenance", maintenance::SHAPE, "Whether it is down: 503 with `Retry-After`; live streams go on.")
        .default(Given::Boolean(false)),
    Key::new("tolerate", Shape::List(&TOLERATE), "Forms of path that would otherwise be refused.")
        .default(Given::Texts(&[])),
    Key::later("login"),
    Key::later("serve"),
];

const TOLERATE: Shape = Shape::Choice {
    now: &["encoded_slash", "encoded_backslash", "empty_segments", "parameters", "double_encoding"],
    later: &[],
};

/// Gives every route what `[defaults]`, which has been checked, says and the route does not; `deny` adds up.
pub(in crate::config) fn apply_defaults(root: &mut Table) {
    let Some(Value::Table(defaults)) = root.get("defaults").map(|entry| entry.node.value.clone()) else { return };
    let Some(Value::Table(routes)) = root.get_mut("route").map(|entry| &mut entry.node.value) else { return };
    for route in routes.values_mut() {
        let Value::Table(route) = &mut route.node.value else { continue };
        for (key, entry) in &defaults {
            let given = Entry { key: entry.key, node: Node { checked: true, ..entry.node.clone() } };
            match (route.get_mut(key), &entry.node.value) {
                (Some(own), Value::List(denied)) if key == "deny" => prepend(&mut own.node, denied),
                (Some(_), _) => {}
                (None, _) => {
                    route.insert(key.clone(), given);
                }
            }
        }
    }
}

fn prepend(own: &mut Node, denied: &[Node]) {
    let first = denied.iter().map(|node| Node { checked: true, ..node.clone() });
    let place = own.place;
    let all = match std::mem::replace(&mut own.value, Value::Broken) {
        Value::List(list) => first.chain(list).collect(),
        bare => first.chain([Node::new(bare, place)]).collect(),
    };
    own.value = Value::List(all);
}

pub(in crate::config) fn read(context: &Context<'_>, roles: &RoleTable) -> Vec<Arc<RouteSettings>> {
    let policies = policy::read(context, roles);
    let mut places = conflicts::Places::default();
    let named = context.named("route");
    let routes: Vec<_> = named
        .iter()
        .filter_map(|(name, section)| route(name, section, roles, &policies, &mut places))
        .map(Arc::new)
        .collect();
    places.check(context.report);
    routes
}

fn route(
    name: &Arc<str>,
    section: &Section<'_>,
    roles: &RoleTable,
    policies: &BTreeMap<Arc<str>, Rules>,
    places: &mut conflicts::Places,
) -> Option<RouteSettings> {
    let context = section.context;
    section.not_empty("match", "match = \"/{*rest}\"");
    let listeners = listeners(section);
    let matches: Vec<(RouteMatch, Place)> = section
        .texts("match")
        .filter_map(|(text, place)| {
            let found = pattern::read(text).map_err(|fault| context.report.problem(place, fault)).ok()?;
            Some((found, place))
        })
        .collect();
    for (found, place) in &matches {
        places.add(name, &listeners, found, *place);
    }
    let accept = accept::read(section, &listeners);
    let changes = RouteChanges {
        path: rewrite::read(section, &matches),
        host: rewrite::host(section),
        request_headers: edits::of_requests(section),
        response_headers: edits::of_responses(section, accept.as_ref()),
    };
    let limits = section.parse_list("limits", |limit| context.refer("limit", limit));
    let upstream = section.parse("upstream", |text| upstream::refer(text, context));
    let origins = section.parse_list("origins", listener::origin);
    let cors = section.table("cors").map(|cors| cors::read(&cors));
    let stream_grace = section.parse("stream_grace", grace);
    let mut rules = Rules {
        deny: rule::read_list(section, "deny", default_denies(context), roles),
        allow: rule::read_list(section, "allow", 0, roles),
    };
    for name in section.parse_list("policies", |policy| context.refer("policy", policy)) {
        let Some(policy) = policies.get(&name) else { continue };
        rules.deny.extend_from_slice(&policy.deny);
        rules.allow.extend_from_slice(&policy.allow);
    }
    let tolerates = |form: &str| section.texts("tolerate").any(|(text, _)| text == form);
    Some(RouteSettings {
        name: name.clone(),
        listeners,
        matches: matches.into_iter().map(|(found, _)| found).collect(),
        accept: accept?,
        limits,
        rules,
        upstream: upstream?,
        identity: section.table("identity").map(|identity| identity::read(&identity))?,
        on_stale: if section.text("on_stale") == Some("allow") { OnStale::Allow } else { OnStale::Deny },
        stream_grace: stream_grace?,
        origins,
        cors,
        changes,
        bounds: bounds::read(section),
        forward_credentials: section.boolean("forward_credentials"),
        websocket_bearer: section.boolean("websocket_bearer"),
        security_headers: section.text("security_headers") == Some("standard"),
        early_hints: section.boolean("early_hints"),
        maintenance: section.maintenance(),
        tolerate: PathTolerance {
            encoded_slash: tolerates("encoded_slash"),
            encoded_backslash: tolerates("encoded_backslash"),
            empty_segments: tolerates("empty_segments"),
            parameters: tolerates("parameters"),
            double_encoding: tolerates("double_encoding"),
        },
    })
}

fn grace(text: &str) -> Result<StreamGrace, Fault> {
    if text == "unlimited" {
        return Ok(StreamGrace::Unlimited);
    }
    let help = "\"unlimited\", or a whole number and a unit: \"0s\", \"30s\", \"5m\"";
    units::duration(text).map(StreamGrace::For).map_err(|_| Fault::new(format!("`{text}` is no duration")).help(help))
}

/// The listeners of a route: named, or the only one there is.
fn listeners(section: &Section<'_>) -> Vec<Arc<str>> {
    let context = section.context;
    let mut names = context.names("listener");
    if section.has("listeners") {
        section.not_empty("listeners", "the names of the listeners that serve it");
        return section.parse_list("listeners", |name| {
            if redirects::is_one(context, name) {
                let fault = Fault::new(format!("`listener.{name}` redirects to HTTPS and serves no route"));
                return Err(fault.help("name the listener with `tls`"));
            }
            context.refer("listener", name)
        });
    }
    names.retain(|name| !redirects::is_one(context, name));
    if names.len() > 1 {
        let fault = Fault::new(format!("`{}` lacks `listeners`, and there are several", section.path));
        let list: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        context.report.problem(section.place, fault.help(format!("some of {}", list.join(", "))));
    }
    names.into_iter().take(1).map(Arc::from).collect()
}

/// How many of a route's first `deny` rules are from `[defaults]`.
fn default_denies(context: &Context<'_>) -> usize {
    context.section("defaults").map_or(0, |defaults| defaults.list("deny").len())
}
