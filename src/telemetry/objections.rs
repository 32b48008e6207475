//! What rules that only report would have refused.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use prometheus_client::encoding::DescriptorEncoder;

use super::render::{counter, counters};

/// Counts by rule. A rule has a series from its first objection on; rules are names of the configuration, so there are
/// not many.
#[derive(Debug, Default)]
pub(super) struct Objections(ArcSwap<BTreeMap<Arc<str>, Arc<AtomicU64>>>);

impl Objections {
    pub(super) fn count(&self, rule: &Arc<str>) {
        if let Some(count) = self.0.load().get(rule) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.0.rcu(|known| {
            let mut more = BTreeMap::clone(known);
            more.entry(Arc::clone(rule)).or_default();
            more
        });
        if let Some(count) = self.0.load().get(rule) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn encode(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Requests that a rule in report mode would have refused, by rule";
        let mut family = counters(to, "portcullis_policy_would_deny", help)?;
        for (rule, count) in &**self.0.load() {
            counter(&mut family, &[("rule", &**rule)], count.load(Ordering::Relaxed))?;
        }
        Ok(())
    }
}
