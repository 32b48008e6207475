//! `[[route.NAME.allow]]` and `[[route.NAME.deny]]`

use std::sync::Arc;

use super::issuer::LOCAL;
use super::listener::network;
use super::pattern;
use crate::config::keys::{Key, TEXTS};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::suggest;
use crate::model::Principal;
use crate::model::identity::LOCAL_ISSUER;
use crate::model::settings::{PermissionPattern, RoleTable, Rule};

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
    Key::later("when"),
    Key::later("claims"),
    Key::later("tenants"),
    Key::later("authenticated_within"),
    Key::later("assurance"),
    Key::later("relation"),
    Key::later("mode"),
];

/// Reads one rule; `name` is what logs call it.
pub(super) fn read(section: &Section<'_>, name: String, roles: &RoleTable) -> Rule {
    let context = section.context;
    if section.keys().next().is_none() {
        let fault = Fault::new("a rule without conditions matches every request");
        context.report.problem(section.place, fault.help("a route without `allow` admits every identity it accepts"));
    }
    for key in section.keys() {
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
