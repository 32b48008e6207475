//! One rule, ready to be asked.

use std::fmt::{Debug, Display, Write};
use std::sync::Arc;

use http::Method;
use ipnet::IpNet;

use crate::model::settings::{PermissionPattern, RoleTable, Rule};
use crate::model::{Client, Identity, Principal, Verified};

/// How far a rule fits a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// In every part.
    Whole,
    /// In every part but `scopes`, and the caller is somebody.
    AllButScopes,
    /// Not.
    Not,
}

/// A rule whose roles and permissions have been turned into the roles of identities that satisfy them.
pub(super) struct CompiledRule {
    rule: Rule,
    /// Sorted: whoever has one of these has one of the rule's roles, by inheritance or itself.
    roles: Vec<Arc<str>>,
    /// For each of the rule's permissions, sorted: the roles that grant it.
    granting: Vec<Vec<Arc<str>>>,
}

impl CompiledRule {
    pub(super) fn new(rule: &Rule, table: &RoleTable) -> Self {
        let mut roles = rule.roles.clone();
        for (role, implied) in &table.implies {
            if rule.roles.iter().any(|wanted| implied.contains(wanted)) {
                roles.push(Arc::clone(role));
            }
        }
        roles.sort_unstable();
        roles.dedup();
        let granting = rule
            .permissions
            .iter()
            .map(|permission| {
                let grants = |pattern: &PermissionPattern| match pattern {
                    PermissionPattern::Any => true,
                    PermissionPattern::Exact(exact) => exact == permission,
                    PermissionPattern::Prefix(prefix) => permission.starts_with(&**prefix),
                };
                // A `BTreeMap` gives its keys in order.
                table.grants.iter().filter(|(_, p)| p.iter().any(grants)).map(|(role, _)| Arc::clone(role)).collect()
            })
            .collect();
        Self { rule: rule.clone(), roles, granting }
    }

    pub(super) fn name(&self) -> &str {
        &self.rule.name
    }

    pub(super) fn scopes(&self) -> &[Arc<str>] {
        &self.rule.scopes
    }

    pub(super) fn fit(&self, method: &Method, identity: &Identity, client: &Client) -> Fit {
        let rule = &self.rule;
        if !(rule.methods.is_empty() || rule.methods.contains(method)) {
            return Fit::Not;
        }
        if !(rule.networks.is_empty() || client.is_in(&rule.networks)) {
            return Fit::Not;
        }
        match identity.verified() {
            None if self.wants_identity() => Fit::Not,
            None => Fit::Whole,
            Some(identity) if !self.fits_but_scopes(identity) => Fit::Not,
            Some(identity) if rule.scopes.iter().all(|scope| identity.scopes.contains(scope)) => Fit::Whole,
            Some(_) => Fit::AllButScopes,
        }
    }

    fn wants_identity(&self) -> bool {
        let rule = &self.rule;
        !(rule.roles.is_empty()
            && rule.permissions.is_empty()
            && rule.scopes.is_empty()
            && rule.groups.is_empty()
            && rule.principals.is_empty())
    }

    fn fits_but_scopes(&self, identity: &Verified) -> bool {
        let rule = &self.rule;
        let has_one_of = |roles: &[Arc<str>]| identity.roles.iter().any(|role| roles.binary_search(role).is_ok());
        (rule.roles.is_empty() || has_one_of(&self.roles))
            && self.granting.iter().all(|roles| has_one_of(roles))
            && (rule.groups.is_empty() || rule.groups.iter().any(|group| identity.groups.contains(group)))
            && (rule.principals.is_empty() || rule.principals.contains(&identity.principal))
    }

    /// What it wants, for the log.
    pub(super) fn describe(&self, into: &mut String) {
        let rule = &self.rule;
        let before = into.len();
        displayed(into, "methods", &rule.methods);
        quoted(into, "roles", &rule.roles);
        quoted(into, "permissions", &rule.permissions);
        quoted(into, "scopes", &rule.scopes);
        quoted(into, "groups", &rule.groups);
        displayed(into, "principals", &rule.principals);
        displayed::<IpNet>(into, "networks", &rule.networks);
        if into.len() == before {
            into.push_str("nothing");
        } else {
            into.truncate(into.trim_end().len());
        }
    }
}

/// What the request has, for the log. Values from outside are quoted and escaped, so that they cannot end the line.
pub(super) fn describe_request(into: &mut String, method: &Method, identity: &Identity, client: &Client) {
    _ = write!(into, "request has method {method}, address {}, ", client.address);
    match identity.verified() {
        None => into.push_str("no identity"),
        Some(identity) => {
            let Principal { issuer, subject } = &identity.principal;
            _ = write!(into, "principal {issuer:?}|{subject:?} ");
            quoted(into, "roles", &identity.roles);
            quoted(into, "scopes", &identity.scopes);
            quoted(into, "groups", &identity.groups);
            into.truncate(into.trim_end().len());
        }
    }
}

/// So that one token's thousand roles do not fill the log.
const MOST_LISTED: usize = 16;

fn quoted(into: &mut String, what: &str, list: &[Arc<str>]) {
    listed(into, what, list, |into, item: &Arc<str>| write_debug(into, &**item));
}

fn write_debug(into: &mut String, item: &(impl Debug + ?Sized)) {
    _ = write!(into, "{item:?}");
}

fn displayed<T: Display>(into: &mut String, what: &str, list: &[T]) {
    listed(into, what, list, |into, item| _ = write!(into, "{item}"));
}

fn listed<T>(into: &mut String, what: &str, list: &[T], mut write_item: impl FnMut(&mut String, &T)) {
    if list.is_empty() {
        return;
    }
    _ = write!(into, "{what} [");
    for (at, item) in list.iter().take(MOST_LISTED).enumerate() {
        if at > 0 {
            into.push_str(", ");
        }
        write_item(into, item);
    }
    if list.len() > MOST_LISTED {
        into.push_str(", …");
    }
    into.push_str("] ");
}
