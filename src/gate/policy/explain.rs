//! Both sides of a decision, for the log: what rules want, and what the request has. Values from outside are quoted and
//! escaped, so that they cannot end the line.

use std::fmt::{Debug, Display, Write};
use std::sync::Arc;

use ipnet::IpNet;

use super::rule::CompiledRule;
use crate::gate::Case;
use crate::model::Principal;
use crate::model::settings::Rule;

/// So many rules are told of.
const MOST_RULES: usize = 8;

/// So that one token's thousand roles do not fill the log.
const MOST_LISTED: usize = 16;

/// What this rule `refuses` or `wants`, and what there is.
pub(super) fn one(rule: &CompiledRule, verb: &str, case: &Case<'_>) -> String {
    all(std::slice::from_ref(rule), verb, case)
}

/// The same of several.
pub(super) fn all(rules: &[CompiledRule], verb: &str, case: &Case<'_>) -> String {
    let mut text = String::new();
    for rule in rules.iter().take(MOST_RULES) {
        // Writing to a String does not fail.
        _ = write!(text, "{} {verb} ", rule.name());
        describe_rule(&mut text, rule.settings());
        text.push_str("; ");
    }
    if rules.len() > MOST_RULES {
        text.push_str("and other rules; ");
    }
    describe_case(&mut text, case);
    text
}

fn describe_rule(into: &mut String, rule: &Rule) {
    let before = into.len();
    displayed(into, "methods", &rule.methods);
    quoted(into, "roles", &rule.roles);
    quoted(into, "permissions", &rule.permissions);
    quoted(into, "scopes", &rule.scopes);
    quoted(into, "groups", &rule.groups);
    quoted(into, "tenants", &rule.tenants);
    displayed(into, "principals", &rule.principals);
    displayed::<IpNet>(into, "networks", &rule.networks);
    for test in &rule.claims {
        _ = write!(into, "claim {:?} ", test.claim);
    }
    if let Some(within) = rule.authenticated_within {
        _ = write!(into, "authenticated within {within:?} ");
    }
    quoted(into, "acr", &rule.acr);
    quoted(into, "amr", &rule.amr);
    if into.len() == before {
        into.push_str("nothing");
    } else {
        into.truncate(into.trim_end().len());
    }
}

fn describe_case(into: &mut String, case: &Case<'_>) {
    let request = case.request;
    _ = write!(into, "request has method {}, address {}, ", request.method, request.client.address);
    let Some(identity) = case.verified() else {
        into.push_str("no identity");
        return;
    };
    let Principal { issuer, subject } = &identity.principal;
    _ = write!(into, "principal {issuer:?}|{subject:?} ");
    quoted(into, "roles", &identity.roles);
    quoted(into, "scopes", &identity.scopes);
    quoted(into, "groups", &identity.groups);
    if let Some(tenant) = &identity.tenant {
        _ = write!(into, "tenant {tenant:?} ");
    }
    if let Some(then) = identity.authenticated_at {
        _ = write!(into, "authenticated {:?} ago ", request.now.since(then));
    }
    if let Some(acr) = &identity.acr {
        _ = write!(into, "acr {acr:?} ");
    }
    quoted(into, "amr", &identity.amr);
    into.truncate(into.trim_end().len());
}

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
