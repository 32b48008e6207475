//! Stage 8: deny rules, then allow rules.
//!
//! A rule that names facts of an identity (roles, permissions, scopes, groups, principals) never matches
//! [`Identity::Anonymous`], also when it is a deny rule: nobody in particular has no role to be denied by. What shall be
//! closed to anonymous callers is closed by `accept`, or by an allow rule that names a fact.

mod rule;

use http::Method;

use self::rule::{CompiledRule, Fit};
use crate::model::denial::Reason;
use crate::model::settings::{RoleTable, RouteSettings};
use crate::model::{Client, Denial, Identity};

/// The rules of one route, with roles resolved.
pub struct Policy {
    deny: Vec<CompiledRule>,
    allow: Vec<CompiledRule>,
}

impl Policy {
    /// Of this route.
    pub fn new(route: &RouteSettings, roles: &RoleTable) -> Self {
        let compile = |rules: &[_]| rules.iter().map(|rule| CompiledRule::new(rule, roles)).collect();
        Self { deny: compile(&route.deny), allow: compile(&route.allow) }
    }

    /// Any deny rule that matches refuses; then, where there are allow rules, one must match. Returns the name of the
    /// allow rule that matched, if there are any. Admitting allocates nothing.
    pub fn decide(&self, method: &Method, identity: &Identity, client: &Client) -> Result<Option<&str>, Denial> {
        for rule in &self.deny {
            if rule.fit(method, identity, client) == Fit::Whole {
                let detail = explain(std::slice::from_ref(rule), "refuses", method, identity, client);
                return Err(Denial::because(Reason::DeniedByRule, detail));
            }
        }
        if self.allow.is_empty() {
            return Ok(None);
        }
        let mut lacks_scopes_only = None;
        for rule in &self.allow {
            match rule.fit(method, identity, client) {
                Fit::Whole => return Ok(Some(rule.name())),
                Fit::AllButScopes => lacks_scopes_only = lacks_scopes_only.or(Some(rule)),
                Fit::Not => {}
            }
        }
        let detail = explain(&self.allow, "wants", method, identity, client);
        Err(match lacks_scopes_only {
            Some(rule) => {
                Denial { wanted_scopes: rule.scopes().to_vec(), ..Denial::because(Reason::InsufficientScope, detail) }
            }
            None => Denial::because(Reason::NotAllowed, detail),
        })
    }
}

/// Both sides for the log: what each rule `wants` (or `refuses`), and what there is.
fn explain(rules: &[CompiledRule], verb: &str, method: &Method, identity: &Identity, client: &Client) -> String {
    const MOST: usize = 8;
    let mut text = String::new();
    for rule in rules.iter().take(MOST) {
        text.push_str(rule.name());
        text.push(' ');
        text.push_str(verb);
        text.push(' ');
        rule.describe(&mut text);
        text.push_str("; ");
    }
    if rules.len() > MOST {
        text.push_str("and other rules; ");
    }
    rule::describe_request(&mut text, method, identity, client);
    text
}

#[cfg(test)]
mod tests;
