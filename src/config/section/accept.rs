//! `accept`

use std::sync::Arc;

use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::suggest;
use crate::config::tree::{Table, Value};
use crate::model::CredentialKind;
use crate::model::settings::{Accept, Alternative};

const KINDS: [&str; 7] = ["session", "jwt", "opaque", "api_key", "mtls", "basic", "anyone"];

/// Reads what a route accepts, and whether there is anything that could satisfy it.
pub(super) fn read(route: &Section<'_>, listeners: &[Arc<str>]) -> Option<Accept> {
    let context = route.context;
    route.not_empty("accept", "accept = \"anyone\" makes a route public");
    let mut optional = false;
    let mut broken = false;
    let mut alternatives: Vec<Alternative> = Vec::new();
    for (text, place) in route.texts("accept") {
        if text == "anyone" {
            optional = true;
            continue;
        }
        match alternative(text, context).and_then(|found| satisfiable(found, context, listeners)) {
            Ok(found) if alternatives.contains(&found) => {
                context.report.problem(place, Fault::new(format!("`{text}` stands here twice")));
            }
            Ok(found) => alternatives.push(found),
            Err(fault) => {
                broken = true;
                context.report.problem(place, fault);
            }
        }
    }
    match (alternatives.is_empty(), optional) {
        _ if broken => None,
        (true, true) => Some(Accept::Public),
        (true, false) => None,
        (false, optional) => Some(Accept::OneOf { alternatives, optional }),
    }
}

/// Checks that nothing is open by default.
pub(in crate::config) fn check_defaults(context: &Context<'_>) {
    let Some(defaults) = context.section("defaults") else { return };
    for (text, place) in defaults.texts("accept") {
        if text == "anyone" {
            let fault = Fault::new("`anyone` cannot be a default: every public route says so itself");
            context.report.problem(place, fault.help("write accept = \"anyone\" on the route"));
        }
    }
}

fn alternative(text: &str, context: &Context<'_>) -> Result<Alternative, Fault> {
    let (text, with_certificate) = match text.split_once('+') {
        Some(("mtls", other)) => (other, true),
        Some((other, "mtls")) => return Err(Fault::new(format!("`{text}` is written `mtls+{other}`"))),
        Some(_) => return Err(Fault::new(format!("`{text}` cannot be asked for")).help("only `mtls+…` wants two")),
        None => (text, false),
    };
    let (kind, name) = match text.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (text, None),
    };
    let kind = match kind {
        "session" => CredentialKind::Session,
        "jwt" => CredentialKind::Jwt,
        "opaque" => CredentialKind::Opaque,
        "basic" => CredentialKind::Basic,
        "api_key" => CredentialKind::ApiKey,
        "mtls" if !with_certificate => CredentialKind::Mtls,
        _ => return Err(Fault::new(format!("`{kind}` is no kind of credential")).help(suggest::hint(kind, KINDS))),
    };
    if name.is_some() && kind != CredentialKind::Jwt {
        return Err(Fault::new(format!("`{kind}` has no names")).help("only `jwt:NAME` names an issuer"));
    }
    let issuer = if kind == CredentialKind::Jwt { Some(issuer(name, context)?) } else { None };
    Ok(Alternative { kind, issuer, with_certificate })
}

fn issuer(name: Option<&str>, context: &Context<'_>) -> Result<Arc<str>, Fault> {
    let names = context.names("issuer");
    match (name, names.len()) {
        (Some(name), _) => context.refer("issuer", name),
        (None, 0) => Err(Fault::new("`jwt` without an issuer: no token could be accepted").help("add [issuer.NAME]")),
        (None, 1) => Ok(names.first().copied().unwrap_or_default().into()),
        (None, _) => {
            let list: Vec<_> = names.iter().map(|name| format!("\"jwt:{name}\"")).collect();
            Err(Fault::new("`jwt` of which issuer? There are several").help(list.join(" or ")))
        }
    }
}

fn satisfiable(found: Alternative, context: &Context<'_>, listeners: &[Arc<str>]) -> Result<Alternative, Fault> {
    let alone = found.kind == CredentialKind::Mtls;
    if (alone || found.with_certificate) && !listeners.iter().any(|name| asks_certificate(context, name)) {
        let fault = Fault::new("`mtls` without client certificates: none of the route's listeners asks for one");
        return Err(fault.help("listener.NAME.tls.client_auth = { mode = \"optional\", ca = \"clients-ca.pem\" }"));
    }
    if alone && context.list("mtls").is_empty() {
        let fault = Fault::new("`mtls` without rules: no certificate becomes an identity");
        return Err(fault.help("add [[mtls]] with match = { uri = \"spiffe://cluster.local/{name}\" }"));
    }
    if found.kind == CredentialKind::Opaque && !context.root.contains_key("opaque") {
        let fault = Fault::new("`opaque` without an endpoint to ask: no token could be accepted");
        return Err(
            fault.help("add [opaque] with `introspection_url`, `issuer`, `audiences`, `client_id`, `client_secret`")
        );
    }
    if found.kind == CredentialKind::Basic && !context.root.contains_key("basic") {
        let fault = Fault::new("`basic` without passwords: nobody could log in");
        return Err(fault.help("add [basic] with file = \"htpasswd\""));
    }
    Ok(found)
}

/// Whether a listener asks for client certificates. What is broken counts as asking, to report one thing once.
fn asks_certificate(context: &Context<'_>, listener: &str) -> bool {
    fn step<'a>(table: &'a Table, key: &str) -> Result<&'a Table, bool> {
        match table.get(key).map(|entry| &entry.node.value) {
            Some(Value::Table(table)) => Ok(table),
            found => Err(found.is_some()),
        }
    }
    let asks = |tls: &Table| match step(tls, "client_auth") {
        Ok(auth) => !matches!(auth.get("mode").map(|e| &e.node.value), Some(Value::Text(mode)) if mode == "off"),
        Err(broken) => broken,
    };
    let tls = || step(step(step(context.root, "listener")?, listener)?, "tls");
    match tls() {
        Ok(tls) => {
            asks(tls)
                || match step(tls, "hosts") {
                    Ok(hosts) => hosts.values().any(|host| host.node.table().is_none_or(&asks)),
                    Err(broken) => broken,
                }
        }
        Err(broken) => broken,
    }
}

/// For messages: `jwt:main, session`.
pub(in crate::config) fn describe(accept: &Accept) -> String {
    let Accept::OneOf { alternatives, optional } = accept else { return "PUBLIC".to_owned() };
    let one = |alternative: &Alternative| {
        let kind = match &alternative.issuer {
            Some(issuer) => format!("{}:{issuer}", alternative.kind),
            None => alternative.kind.to_string(),
        };
        if alternative.with_certificate { format!("mtls+{kind}") } else { kind }
    };
    let mut list: Vec<_> = alternatives.iter().map(one).collect();
    if *optional {
        list.push("PUBLIC".to_owned());
    }
    list.join(", ")
}
