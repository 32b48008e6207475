//! How endpoints are: what checks find, what requests find, and who may get a request because of it.
//!
//! One [`Conditions`] for the whole process. Workers read it without a lock and note what requests find; one [`Checker`],
//! on the thread beside the workers, notes what checks find.

mod check;
mod checker;
mod condition;
mod standing;
mod upstream_health;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::checker::Checker;
pub use self::condition::Standing;
pub use self::standing::{EndpointStanding, UpstreamStanding};
pub(super) use self::upstream_health::UpstreamHealth;
use crate::model::settings::UpstreamSettings;

/// What is known of the endpoints of all upstreams. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    by_name: Arc<BTreeMap<Arc<str>, Arc<UpstreamHealth>>>,
}

impl Conditions {
    /// Nothing is known yet: every endpoint counts as healthy.
    pub fn new(settings: &[Arc<UpstreamSettings>]) -> Self {
        Self::default().renewed(settings)
    }

    /// For other settings: what is known of endpoints that stay in their upstream goes on to count, for old and new alike.
    #[must_use]
    pub fn renewed(&self, settings: &[Arc<UpstreamSettings>]) -> Self {
        let health = |settings: &Arc<UpstreamSettings>| {
            let health = match self.by_name.get(&settings.name) {
                // The same one, which workers that keep the upstream as it is go by.
                Some(before) if before.settings() == settings => before.clone(),
                before => Arc::new(UpstreamHealth::new(settings, before.map(|before| &**before))),
            };
            (settings.name.clone(), health)
        };
        Self { by_name: Arc::new(settings.iter().map(health).collect()) }
    }

    /// Of one upstream; of one that was not among the settings, apart from all others.
    pub(super) fn of(&self, settings: &Arc<UpstreamSettings>) -> Arc<UpstreamHealth> {
        let known = self.by_name.get(&settings.name).cloned();
        known.unwrap_or_else(|| Arc::new(UpstreamHealth::new(settings, None)))
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<UpstreamHealth>> {
        self.by_name.values()
    }
}
