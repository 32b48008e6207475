//! Stages 2 and 7: how often.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::settings::{LimitSettings, LimitStage};
use crate::model::{Clock, Denial, Verified};

/// The counters of all limits.
pub struct Limits {}

impl Limits {
    /// With counters for each.
    pub fn new(settings: &BTreeMap<Arc<str>, LimitSettings>, clock: Arc<dyn Clock>) -> Self {
        let _ = (settings, clock);
        todo!()
    }
}

/// The limits of one route, resolved.
pub struct RouteLimits {}

impl RouteLimits {
    /// Of these names; names that `limits` lacks are ignored (config has refused them).
    pub fn new(limits: &Limits, names: &[Arc<str>]) -> Self {
        let _ = (limits, names);
        todo!()
    }
    /// Counts a request at this stage ([`LimitStage::FailedAuthentication`]: only asks whether it is used up).
    pub fn check(&self, stage: LimitStage, address: IpAddr, identity: Option<&Verified>) -> Result<(), Denial> {
        let _ = (stage, address, identity);
        todo!()
    }
    /// Counts a failed authentication.
    pub fn failed(&self, address: IpAddr) {
        let _ = address;
    }
}
