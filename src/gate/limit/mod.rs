//! Stages 2 and 7: how often.
//!
//! Each limit counts by GCRA in this process. Where a part of a key is not known (nobody has authenticated, or the
//! identity names no tenant), the next narrower one stands in for it: the principal for a tenant, the client's address for
//! a principal. So nobody escapes a limit by lacking what it counts by.
//!
//! Memory for keys is bounded. A table that is full after cleaning refuses keys that it does not hold yet: forgetting
//! counters instead would let whoever can make many keys reset his own.

mod counters;
mod key;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::counters::{Counters, Full};
use self::key::Keys;
use super::Case;
use crate::model::denial::{Reason, UsedUp};
use crate::model::settings::{LimitSettings, LimitStage};
use crate::model::{Clock, Denial};

/// The counters of all limits.
pub struct Limits {
    by_name: BTreeMap<Arc<str>, Arc<Limit>>,
}

struct Limit {
    settings: LimitSettings,
    keys: Keys,
    counters: Counters,
}

impl Limits {
    /// With counters for each.
    pub fn new(settings: &BTreeMap<Arc<str>, LimitSettings>, clock: Arc<dyn Clock>) -> Self {
        Self { by_name: BTreeMap::new() }.renewed(settings, clock)
    }

    /// With the counters of those that have these settings already, and new ones for the others.
    pub fn renewed(&self, settings: &BTreeMap<Arc<str>, LimitSettings>, clock: Arc<dyn Clock>) -> Self {
        let limit = |settings: &LimitSettings| Limit {
            keys: Keys::of(&settings.key),
            counters: Counters::new(settings, Arc::clone(&clock)),
            settings: settings.clone(),
        };
        let of = |(name, settings): (&Arc<str>, &LimitSettings)| {
            let known = self.by_name.get(name).filter(|known| known.settings == *settings);
            (Arc::clone(name), known.cloned().unwrap_or_else(|| Arc::new(limit(settings))))
        };
        Self { by_name: settings.iter().map(of).collect() }
    }
}

/// The limits of one route, resolved.
pub struct RouteLimits {
    limits: Vec<Arc<Limit>>,
}

impl RouteLimits {
    /// Of these names; names that `limits` lacks are ignored (config has refused them).
    pub fn new(limits: &Limits, names: &[Arc<str>]) -> Self {
        Self { limits: names.iter().filter_map(|name| limits.by_name.get(name)).cloned().collect() }
    }

    /// Counts a request at this stage ([`LimitStage::FailedAuthentication`]: only asks whether it is used up).
    pub fn check(&self, stage: LimitStage, case: &Case<'_>) -> Result<(), Denial> {
        for limit in self.of_stage(stage) {
            let key = limit.keys.key(case);
            match stage {
                LimitStage::BeforeAuthentication | LimitStage::AfterAuthentication => {
                    limit.counters.count(key).map_err(|full| limit.refuse(Reason::RateLimited, full))?
                }
                LimitStage::FailedAuthentication => {
                    limit.counters.ask(key).map_err(|full| limit.refuse(Reason::TooManyFailures, full))?
                }
            }
        }
        Ok(())
    }

    /// Counts a failed authentication.
    pub fn failed(&self, case: &Case<'_>) {
        for limit in self.of_stage(LimitStage::FailedAuthentication) {
            // The attempt has been refused already; when this is used up, the next one is not even looked at.
            _ = limit.counters.count(limit.keys.key(case));
        }
    }

    fn of_stage(&self, stage: LimitStage) -> impl Iterator<Item = &Limit> {
        self.limits.iter().map(|limit| &**limit).filter(move |limit| limit.settings.stage == stage)
    }
}

impl Limit {
    fn refuse(&self, reason: Reason, full: Full) -> Denial {
        let LimitSettings { name, count, per, .. } = &self.settings;
        let (detail, wait) = match full {
            Full::Key { wait } => (format!("limit.{name}: {count} in {per:?} used up"), wait),
            Full::Table => (format!("limit.{name}: too many keys at a time"), Duration::from_secs(1)),
        };
        let used_up = UsedUp { name: Arc::clone(name), count: *count, per: *per };
        Denial { limit: Some(Box::new(used_up)), ..Denial::because(reason, detail).retry_after(wait) }
    }
}

#[cfg(test)]
mod tests;
