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
use super::credential::Credentials;
use crate::model::settings::UpstreamSettings;

/// What is known of the endpoints of all upstreams, and what these are shown. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    by_name: Arc<BTreeMap<Arc<str>, Arc<UpstreamHealth>>>,
    credentials: Credentials,
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
        let by_name = Arc::new(settings.iter().map(health).collect());
        Self { by_name, credentials: Credentials::default() }
    }

    /// With what upstreams are shown; nothing otherwise.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials, ..self }
    }

    /// What upstreams are shown.
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
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
