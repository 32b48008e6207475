//! `maintenance`: who is served while a route, or everything, is not.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

/// Down for maintenance, of one route or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceSettings {
    /// Whether it is.
    pub on: bool,
    /// When clients are told to come back.
    pub retry_after: Duration,
    /// Whose addresses are served all the same.
    pub networks: Vec<IpNet>,
}

impl MaintenanceSettings {
    /// Whether a client at this address is served all the same.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

impl Default for MaintenanceSettings {
    fn default() -> Self {
        Self { on: false, retry_after: Duration::from_secs(600), networks: Vec::new() }
    }
}
