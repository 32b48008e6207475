//! `[policy.NAME]`: rules that several routes have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rule;
use crate::config::keys::Key;
use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::model::settings::{RoleTable, RuleMode, Rules};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("allow", rule::RULES, "Where a route has such rules, one must match."),
    Key::new("deny", rule::RULES, "Any rule that matches refuses."),
    rule::MODE,
];

pub(in crate::config) fn read(context: &Context<'_>, roles: &RoleTable) -> BTreeMap<Arc<str>, Rules> {
    let mut policies = BTreeMap::new();
    for (name, section) in context.named("policy") {
        let read = |key| rule::read_list(&section, key, 0, roles);
        let mut rules = Rules { deny: read("deny"), allow: read("allow") };
        if rules == Rules::default() {
            let fault = Fault::new(format!("`{}` has no rules", section.path));
            context.report.problem(section.place, fault.help("allow = [{ roles = [\"…\"] }]"));
        }
        if rule::mode(&section) == RuleMode::Report {
            rules.deny.iter_mut().chain(&mut rules.allow).for_each(|rule| rule.mode = RuleMode::Report);
        }
        policies.insert(name, rules);
    }
    policies
}
