//! Stage 8: deny rules, then allow rules.
//!
//! A rule that names facts of an identity (roles, permissions, scopes, groups, …) never matches
//! [`Identity::Anonymous`](crate::model::Identity::Anonymous), also when it is a deny rule: nobody in particular has no role
//! to be denied by. What shall be closed to anonymous callers is closed by `accept`, or by an allow rule that names a fact.
//!
//! Rules that only report are asked after the decision, which they never change.

mod explain;
mod rule;

use std::sync::Arc;

use self::rule::{CompiledRule, Fit, Lack};
use super::Case;
use crate::model::Denial;
use crate::model::denial::{Reason, StepUp};
use crate::model::settings::{RoleTable, Rule, RuleMode, Rules};

/// The rules of one route, with roles resolved.
pub struct Policy {
    deny: Vec<CompiledRule>,
    allow: Vec<CompiledRule>,
    /// Those that only report.
    report: Option<Box<Reported>>,
}

struct Reported {
    deny: Vec<CompiledRule>,
    allow: Vec<CompiledRule>,
}

/// What the rules say of a request that may pass.
#[derive(Debug, Default)]
pub struct Ruled<'a> {
    /// The allow rule that matched; `None` where there are none.
    pub allowed_by: Option<&'a str>,
    /// What a rule that only reports would have said against it.
    pub would_deny: Option<Objection>,
}

/// What a rule that only reports would have refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Both sides, for the log.
    pub detail: Box<str>,
}

impl Policy {
    /// Of these rules.
    pub fn new(rules: &Rules, roles: &RoleTable) -> Self {
        let compile = |rules: &[Rule], mode: RuleMode| -> Vec<_> {
            rules.iter().filter(|rule| rule.mode == mode).map(|rule| CompiledRule::new(rule, roles)).collect()
        };
        let report =
            Reported { deny: compile(&rules.deny, RuleMode::Report), allow: compile(&rules.allow, RuleMode::Report) };
        Self {
            deny: compile(&rules.deny, RuleMode::Enforce),
            allow: compile(&rules.allow, RuleMode::Enforce),
            report: (!(report.deny.is_empty() && report.allow.is_empty())).then(|| Box::new(report)),
        }
    }

    /// Any deny rule that matches refuses; then, where there are allow rules, one must match. Admitting allocates nothing.
    pub fn decide(&self, case: &Case<'_>) -> Result<Ruled<'_>, Denial> {
        if let Some(rule) = self.deny.iter().find(|rule| rule.fit(case) == Fit::Whole) {
            return Err(Denial::because(Reason::DeniedByRule, explain::one(rule, "refuses", case)));
        }
        let allowed_by = allowed(&self.allow, case)?.map(CompiledRule::name);
        let would_deny = self.report.as_ref().and_then(|report| report.objection(self.allow.is_empty(), case));
        Ok(Ruled { allowed_by: allowed_by.map(|name| &**name), would_deny })
    }
}

/// The rule that matches; `None` where there are no rules.
fn allowed<'a>(rules: &'a [CompiledRule], case: &Case<'_>) -> Result<Option<&'a CompiledRule>, Denial> {
    if rules.is_empty() {
        return Ok(None);
    }
    let mut lacking = None;
    for rule in rules {
        match rule.fit(case) {
            Fit::Whole => return Ok(Some(rule)),
            Fit::AllBut(lack) => lacking = lacking.or(Some((rule, lack))),
            Fit::Not => {}
        }
    }
    let detail = explain::all(rules, "wants", case);
    Err(match lacking {
        None => Denial::because(Reason::NotAllowed, detail),
        Some((rule, Lack::Scopes)) => {
            Denial { wanted_scopes: rule.scopes().to_vec(), ..Denial::because(Reason::InsufficientScope, detail) }
        }
        Some((rule, Lack::Authentication)) => {
            let step_up = StepUp { acr_values: rule.acr().to_vec(), max_age: rule.authenticated_within() };
            Denial { step_up: Some(Box::new(step_up)), ..Denial::because(Reason::StepUp, detail) }
        }
    })
}

impl Reported {
    /// `open`: no allow rule counts, so that those here would be the first.
    fn objection(&self, open: bool, case: &Case<'_>) -> Option<Objection> {
        let object =
            |rule: &CompiledRule, detail: String| Objection { rule: rule.name().clone(), detail: detail.into() };
        if let Some(rule) = self.deny.iter().find(|rule| rule.fit(case) == Fit::Whole) {
            return Some(object(rule, explain::one(rule, "would refuse", case)));
        }
        let first = self.allow.first().filter(|_| open)?;
        let matches = self.allow.iter().any(|rule| rule.fit(case) == Fit::Whole);
        (!matches).then(|| object(first, explain::all(&self.allow, "would want", case)))
    }
}

#[cfg(test)]
mod tests;
