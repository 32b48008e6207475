//! Where known providers have their claims.

use crate::config::source::Place;
use crate::config::tree::{Entry, Node, Table, Value};

/// The presets.
pub(super) const NAMES: &[&str] = &["auth0", "authentik", "entra", "keycloak", "okta"];

/// What each says; keys of `[issuer.NAME.claims]`.
fn claims(preset: &str) -> &'static [(&'static str, &'static str)] {
    match preset {
        "keycloak" => &[("roles", "/realm_access/roles"), ("name", "preferred_username")],
        "auth0" => &[("roles", "permissions"), ("tenant", "org_id")],
        "entra" => &[("scopes", "scp"), ("tenant", "tid"), ("email", "preferred_username")],
        "okta" => &[("scopes", "scp"), ("roles", "groups")],
        "authentik" => &[("roles", "groups"), ("name", "preferred_username")],
        _ => &[],
    }
}

/// Puts what an issuer's preset says in place of the defaults of a checked tree. Each value's place is the preset's.
pub(in crate::config) fn apply(root: &mut Table) {
    let Some(Value::Table(issuers)) = root.get_mut("issuer").map(|entry| &mut entry.node.value) else { return };
    for issuer in issuers.values_mut() {
        let Value::Table(issuer) = &mut issuer.node.value else { continue };
        let Some(Entry { node: Node { value: Value::Text(preset), place, .. }, .. }) = issuer.get("preset") else {
            continue;
        };
        let (place, known) = (*place, claims(preset));
        let Some(Value::Table(claims)) = issuer.get_mut("claims").map(|entry| &mut entry.node.value) else { continue };
        for (name, pointer) in known {
            if claims.get(*name).is_none_or(|entry| entry.node.place == Place::DEFAULT) {
                let node = Node::new(Value::Text((*pointer).to_owned()), place);
                claims.insert((*name).to_owned(), Entry { key: place, node });
            }
        }
    }
}
