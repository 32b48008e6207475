//! `allow` and `deny` of `[route.NAME]` and `[policy.NAME]`

use std::sync::Arc;

use super::issuer::LOCAL;
use super::listener::network;
use super::pattern;
use crate::config::keys::{DURATION, Given, Key, Shape, TEXTS};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::suggest;
use crate::config::tree::{Entry, Value};
use crate::model::Principal;
use crate::model::identity::LOCAL_ISSUER;
use crate::model::settings::{ClaimTest, ClaimValue, PermissionPattern, RoleTable, Rule, RuleMode};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("methods", TEXTS, "One of these methods."),
    Key::new("roles", TEXTS, "One of these roles."),
    Key::new("permissions", TEXTS, "All of these permissions."),
    Key::new("scopes", TEXTS, "All of these scopes."),
    Key::new("groups", TEXTS, "One of these groups."),
    Key::new(
        "principals",
        TEXTS,
        "One of these: `\"ISSUER/SUBJECT\"` with the issuer's name here, or `\"local/SUBJECT\"`.",
    ),
    Key::new("networks", TEXTS, "The client's address is in one of these networks."),
    Key::new("tenants", TEXTS, "One of these tenants."),
    Key::new(
        "claims",
        Shape::Map(&CLAIM),
        "All of these claims, by name or JSON pointer, each with one of its values: `{ plan = [\"pro\", \"team\"] }`.",
    ),
    Key::new(
        "authenticated_within",
        DURATION,
        "The caller has logged in at most so long ago (`auth_time`); whoever only lacks this is told (RFC 9470).",
    ),
    Key::new("acr", TEXTS, "One of these authentication context classes; whoever only lacks this is told (RFC 9470)."),
    Key::new("amr", TEXTS, "All of these authentication methods (RFC 8176): `\"mfa\"`."),
    MODE,
    Key::later("when"),
    Key::later("relation"),
];

/// The rules of a route or of a policy.
pub(super) const RULES: Shape = Shape::List(&Shape::Table(KEYS));

/// A bare value is a list of one.
const CLAIM: Shape = Shape::Either(&[
    Shape::Boolean,
    Shape::Integer { min: i64::MIN, max: i64::MAX },
    Shape::List(&Shape::Either(&[Shape::Text, Shape::Integer { min: i64::MIN, max: i64::MAX }])),
]);

pub(super) const MODE: Key = Key::new(
    "mode",
    Shape::Choice { now: &["enforce", "report"], later: &[] },
    "`\"report\"`: what it would refuse is counted and logged, and passes.",
)
.default(Given::Text("enforce"));

/// What asks a caller for more; it makes no sense to refuse whoever has it.
const ASKING: &[&str] = &["authenticated_within", "acr", "amr"];

/// Reads the `deny` or `allow` of a route or a policy. The first `from_defaults` are those of `[defaults]`.
pub(super) fn read_list(of: &Section<'_>, key: &str, from_defaults: usize, roles: &RoleTable) -> Vec<Rule> {
    let sections = of.table_list(key);
    let read = |(index, section): (usize, &Section<'_>)| {
        let name = match index.checked_sub(from_defaults) {
            Some(index) => format!("{}.{key}[{index}]", of.path),
            None => format!("defaults.{key}[{index}]"),
        };
        for asking in ASKING.iter().filter(|asking| key == "deny" && section.has(asking)) {
            let fault = Fault::new(format!("a deny rule with `{asking}` would refuse those who have it"));
            section.problem(asking, fault.help(format!("allow = [{{ {asking} = … }}]")));
        }
        self::read(section, name, roles)
    };
    sections.iter().enumerate().map(read).collect()
}

/// Keys that are no lists.
const SINGLE: &[&str] = &["claims", "authenticated_within", "mode"];

/// Reads one rule; `name` is what logs call it.
fn read(section: &Section<'_>, name: String, roles: &RoleTable) -> Rule {
    let context = section.context;
    if section.keys().all(|key| key == "mode") {
        let fault = Fault::new("a rule without conditions matches every request");
        context.report.problem(section.place, fault.help("a route without `allow` admits every identity it accepts"));
    }
    for key in section.keys().filter(|key| !SINGLE.contains(key)) {
        // An empty list would be no condition at all.
        section.not_empty(key, "leave the key out, or name at least one");
    }
    Rule {
        name: name.into(),
        methods: section.parse_list("methods", pattern::method),
        roles: section.parse_list("roles", |role| context.refer("roles", role)),
        permissions: section.parse_list("permissions", |text| permission(text, roles)),
        scopes: section.parse_list("scopes", scope),
        groups: section.shared_texts("groups"),
        principals: section.parse_list("principals", |text| principal(text, context)),
        networks: section.parse_list("networks", network),
        tenants: section.shared_texts("tenants"),
        claims: section.table("claims").map(|claims| claim_tests(&claims)).unwrap_or_default(),
        authenticated_within: section.has("authenticated_within").then(|| section.duration("authenticated_within")),
        acr: section.parse_list("acr", scope),
        amr: section.shared_texts("amr"),
        mode: mode(section),
    }
}

pub(super) fn mode(section: &Section<'_>) -> RuleMode {
    if section.text("mode") == Some("report") { RuleMode::Report } else { RuleMode::Enforce }
}

fn claim_tests(claims: &Section<'_>) -> Vec<ClaimTest> {
    let test = |(claim, entry): (&str, &Entry)| {
        let one_of = match &entry.node.value {
            Value::List(list) => list.iter().filter_map(|node| claim_value(&node.value)).collect(),
            bare => claim_value(bare).into_iter().collect::<Vec<_>>(),
        };
        if one_of.is_empty() {
            let fault = Fault::new(format!("`{}.{claim}` names no value", claims.path));
            claims.context.report.problem(entry.node.place, fault.help("a text, a number, true or false, or a list"));
        }
        ClaimTest { claim: claim.into(), one_of }
    };
    claims.entries().map(test).collect()
}

fn claim_value(value: &Value) -> Option<ClaimValue> {
    match value {
        Value::Text(text) => Some(ClaimValue::Text(text.as_str().into())),
        Value::Integer(number) => Some(ClaimValue::Integer(*number)),
        Value::Boolean(truth) => Some(ClaimValue::Boolean(*truth)),
        _ => None,
    }
}

/// A permission that some role grants: one that nobody can have is a slip of the pen, and in a `deny` rule a hole.
fn permission(text: &str, roles: &RoleTable) -> Result<Arc<str>, Fault> {
    if text.contains('*') {
        return Err(Fault::new("a rule asks for one permission").help("`*` is for what roles grant"));
    }
    let mut exact: Vec<&str> = Vec::new();
    for pattern in roles.grants.values().flatten() {
        match pattern {
            PermissionPattern::Any => return Ok(text.into()),
            PermissionPattern::Prefix(prefix) if text.starts_with(&**prefix) => return Ok(text.into()),
            PermissionPattern::Exact(known) if **known == *text => return Ok(text.into()),
            PermissionPattern::Exact(known) => exact.push(known),
            PermissionPattern::Prefix(_) => {}
        }
    }
    exact.sort_unstable();
    exact.dedup();
    Err(Fault::new(format!("no role has the permission `{text}`")).help(suggest::hint(text, exact)))
}

/// RFC 6749, section 3.3.
fn scope(text: &str) -> Result<Arc<str>, Fault> {
    if text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
        return Ok(text.into());
    }
    Err(Fault::new(format!("`{text}` is no scope")).help("one scope an entry: scopes = [\"read\", \"write\"]"))
}

fn principal(text: &str, context: &Context<'_>) -> Result<Principal, Fault> {
    let help = "\"ISSUER/SUBJECT\" with the issuer's name in this configuration, or \"local/SUBJECT\"";
    let Some((issuer, subject)) = text.split_once('/').filter(|(_, subject)| !subject.is_empty()) else {
        return Err(Fault::new(format!("`{text}` names nobody: a principal is issuer and subject")).help(help));
    };
    if issuer == LOCAL {
        return Ok(Principal::new(LOCAL_ISSUER, subject));
    }
    context.refer("issuer", issuer)?;
    let found = context.named("issuer").into_iter().find(|(name, _)| **name == *issuer);
    let url = found.and_then(|(_, section)| section.text("url")).unwrap_or_default();
    Ok(Principal::new(url, subject))
}
