//! `[roles]`

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::check::join;
use crate::config::keys::{Given, Key, Shape, TEXTS};
use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::config::source::Place;
use crate::config::tree::{Node, Value};
use crate::model::settings::{PermissionPattern, RoleTable};

/// A list of permissions, or a table.
pub(in crate::config) const ROLE: Shape = Shape::Either(&[TEXTS, Shape::Table(KEYS)]);

const KEYS: &[Key] = &[
    Key::new("inherits", TEXTS, "Roles whose permissions it has too.").default(Given::Texts(&[])),
    Key::new("permissions", TEXTS, "What it permits.").default(Given::Texts(&[])),
];

/// What one role says, inheritance not resolved.
struct Role<'a> {
    permissions: BTreeSet<PermissionPattern>,
    inherits: Vec<(&'a str, Place)>,
}

pub(in crate::config) fn read(context: &Context<'_>) -> RoleTable {
    let Some(map) = context.root.get("roles").and_then(|entry| entry.node.table()) else {
        return RoleTable::default();
    };
    let roles: BTreeMap<&str, Role<'_>> =
        map.iter().map(|(name, entry)| (name.as_str(), role(name, &entry.node, context))).collect();
    let mut table = RoleTable::default();
    for name in roles.keys().copied() {
        let implied = implied(name, &roles, context);
        let granted = implied.iter().filter_map(|role| roles.get(role)).flat_map(|role| role.permissions.clone());
        table.grants.insert(name.into(), granted.collect());
        table.implies.insert(name.into(), implied.into_iter().map(Arc::from).collect());
    }
    table
}

fn role<'a>(name: &str, node: &'a Node, context: &Context<'_>) -> Role<'a> {
    let (permissions, inherits) = match &node.value {
        Value::Table(table) => (table.get("permissions").map(|e| &e.node), table.get("inherits").map(|e| &e.node)),
        _ => (Some(node), None),
    };
    let mut known = BTreeMap::new();
    for (text, place) in texts(permissions) {
        match permission(text) {
            Ok(pattern) => {
                if let Some(first) = known.insert(pattern, place) {
                    let fault = Fault::new(format!("`{}` has `{text}` twice", join("roles", name)));
                    context.report.problem(place, fault.and(first, "first here"));
                }
            }
            Err(fault) => context.report.problem(place, fault),
        }
    }
    let inherits = texts(inherits).filter(|(text, place)| {
        context.refer("roles", text).map_err(|fault| context.report.problem(*place, fault)).is_ok()
    });
    Role { inherits: inherits.collect(), permissions: known.into_keys().collect() }
}

fn texts(list: Option<&Node>) -> impl Iterator<Item = (&str, Place)> {
    let list = match list.map(|node| &node.value) {
        Some(Value::List(list)) => list.as_slice(),
        _ => &[],
    };
    list.iter().filter_map(|node| match &node.value {
        Value::Text(text) => Some((text.as_str(), node.place)),
        _ => None,
    })
}

/// `orders:read`, `orders:*` or `*`.
fn permission(text: &str) -> Result<PermissionPattern, Fault> {
    let wrong = |what: &str| Fault::new(what).help("\"orders:read\", \"orders:*\" or \"*\"");
    if text.contains(char::is_whitespace) {
        return Err(wrong("a permission has no spaces"));
    }
    match text.strip_suffix('*') {
        Some("") => Ok(PermissionPattern::Any),
        Some(prefix) if prefix.contains('*') => Err(wrong("`*` stands at the end alone")),
        Some(prefix) if prefix.ends_with(':') && prefix.len() > 1 => Ok(PermissionPattern::Prefix(prefix.into())),
        Some(_) => Err(wrong("`*` stands after `:`")),
        None if text.contains('*') => Err(wrong("`*` stands at the end alone")),
        None => Ok(PermissionPattern::Exact(text.into())),
    }
}

/// A role and all that it inherits, directly or not. A role that inherits itself is a problem.
fn implied<'a>(name: &'a str, roles: &BTreeMap<&'a str, Role<'a>>, context: &Context<'_>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::from([name]);
    let mut open = vec![name];
    while let Some(next) = open.pop() {
        for (parent, place) in roles.get(next).iter().flat_map(|role| &role.inherits) {
            if *parent == name {
                let fault = Fault::new(format!("the role `{name}` inherits itself"));
                let help = if next == name { "leave it out".to_owned() } else { format!("by way of `{next}`") };
                context.report.problem(*place, fault.help(help));
            } else if found.insert(parent) {
                open.push(parent);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_exact_or_end_in_a_star() {
        assert_eq!(permission("orders:read"), Ok(PermissionPattern::Exact("orders:read".into())));
        assert_eq!(permission("orders:*"), Ok(PermissionPattern::Prefix("orders:".into())));
        assert_eq!(permission("*"), Ok(PermissionPattern::Any));
        for bad in ["*:read", "orders*", "orders:*:x", "a b", ":*", "**"] {
            assert!(permission(bad).is_err(), "{bad}");
        }
    }
}
