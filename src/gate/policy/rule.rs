//! One rule, ready to be asked.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::gate::Case;
use crate::model::settings::{ClaimTest, ClaimValue, PermissionPattern, RoleTable, Rule};
use crate::model::{Timestamp, Verified};

/// How much the clock of whoever authenticated the caller may be ahead of ours.
const SKEW: Duration = Duration::from_secs(60);

/// How far a rule fits a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// In every part.
    Whole,
    /// In every part but this, and the caller is somebody.
    AllBut(Lack),
    /// Not.
    Not,
}

/// What a caller could do something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// Ask for more scopes (RFC 6750, section 3).
    Scopes,
    /// Authenticate again, or by stronger means (RFC 9470).
    Authentication,
}

/// A rule whose roles and permissions have been turned into the roles of identities that satisfy them.
pub(super) struct CompiledRule {
    rule: Rule,
    /// Sorted: whoever has one of these has one of the rule's roles, by inheritance or itself.
    roles: Vec<Arc<str>>,
    /// For each of the rule's permissions, sorted: the roles that grant it.
    granting: Vec<Vec<Arc<str>>>,
    /// Whether it names facts of an identity.
    wants_identity: bool,
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
        Self { roles, granting, wants_identity: wants_identity(rule), rule: rule.clone() }
    }

    pub(super) const fn name(&self) -> &Arc<str> {
        &self.rule.name
    }

    pub(super) const fn settings(&self) -> &Rule {
        &self.rule
    }

    pub(super) fn scopes(&self) -> &[Arc<str>] {
        &self.rule.scopes
    }

    pub(super) fn acr(&self) -> &[Arc<str>] {
        &self.rule.acr
    }

    pub(super) const fn authenticated_within(&self) -> Option<Duration> {
        self.rule.authenticated_within
    }

    pub(super) fn fit(&self, case: &Case<'_>) -> Fit {
        let (rule, request) = (&self.rule, case.request);
        if !(rule.methods.is_empty() || rule.methods.contains(request.method)) {
            return Fit::Not;
        }
        if !(rule.networks.is_empty() || request.client.is_in(&rule.networks)) {
            return Fit::Not;
        }
        match case.verified() {
            None if self.wants_identity => Fit::Not,
            None => Fit::Whole,
            Some(identity) if !self.fits_standing(identity) => Fit::Not,
            Some(identity) if !rule.scopes.iter().all(|scope| identity.scopes.contains(scope)) => {
                Fit::AllBut(Lack::Scopes)
            }
            Some(identity) if !self.fits_authentication(identity, request.now) => Fit::AllBut(Lack::Authentication),
            Some(_) => Fit::Whole,
        }
    }

    /// Whether it fits what the caller can do nothing about.
    fn fits_standing(&self, identity: &Verified) -> bool {
        let rule = &self.rule;
        let has_one_of = |roles: &[Arc<str>]| identity.roles.iter().any(|role| roles.binary_search(role).is_ok());
        (rule.roles.is_empty() || has_one_of(&self.roles))
            && self.granting.iter().all(|roles| has_one_of(roles))
            && (rule.groups.is_empty() || rule.groups.iter().any(|group| identity.groups.contains(group)))
            && (rule.tenants.is_empty() || identity.tenant.as_ref().is_some_and(|own| rule.tenants.contains(own)))
            && (rule.principals.is_empty() || rule.principals.contains(&identity.principal))
            && rule.claims.iter().all(|test| holds(test, identity))
    }

    fn fits_authentication(&self, identity: &Verified, now: Timestamp) -> bool {
        let rule = &self.rule;
        // What is said to lie ahead, by more than clocks differ, is no fact.
        let is_recent =
            |within| identity.authenticated_at.is_some_and(|then| then <= now.after(SKEW) && now.since(then) <= within);
        rule.authenticated_within.is_none_or(is_recent)
            && (rule.acr.is_empty() || identity.acr.as_ref().is_some_and(|own| rule.acr.contains(own)))
            && rule.amr.iter().all(|method| identity.amr.contains(method))
    }
}

fn wants_identity(rule: &Rule) -> bool {
    !(rule.roles.is_empty()
        && rule.permissions.is_empty()
        && rule.scopes.is_empty()
        && rule.groups.is_empty()
        && rule.tenants.is_empty()
        && rule.principals.is_empty()
        && rule.claims.is_empty()
        && rule.authenticated_within.is_none()
        && rule.acr.is_empty()
        && rule.amr.is_empty())
}

fn holds(test: &ClaimTest, identity: &Verified) -> bool {
    match identity.claim(&test.claim) {
        None => false,
        Some(Value::Array(items)) => items.iter().any(|item| test.one_of.iter().any(|wanted| is(item, wanted))),
        Some(value) => test.one_of.iter().any(|wanted| is(value, wanted)),
    }
}

/// Of the same type as well: the text `"true"` is not the truth value.
fn is(value: &Value, wanted: &ClaimValue) -> bool {
    match (value, wanted) {
        (Value::String(text), ClaimValue::Text(wanted)) => **text == **wanted,
        (Value::Number(number), ClaimValue::Integer(wanted)) => number.as_i64() == Some(*wanted),
        (Value::Bool(truth), ClaimValue::Boolean(wanted)) => truth == wanted,
        _ => false,
    }
}
