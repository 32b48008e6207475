//! Down for maintenance: of a route, or of everything. It comes before all that could fail or cost anything, since what
//! is being looked after may be what the decision needs.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use super::Shared;
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::MaintenanceSettings;

/// Refuses everybody who is not let in all the same: by the configuration of the instance (or its switch), or of the
/// route.
pub(in crate::gate) fn check(
    shared: &Shared,
    instance: &MaintenanceSettings,
    route: &MaintenanceSettings,
    address: IpAddr,
) -> Result<(), Denial> {
    let whole = instance.on || shared.maintenance.load(Ordering::Relaxed);
    for (on, settings) in [(whole, instance), (route.on, route)] {
        if on && !settings.admits(address) {
            return Err(Denial::new(Reason::Maintenance).retry_after(settings.retry_after));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gate::fixtures;
    use crate::model::Timestamp;

    #[test]
    fn only_the_networks_that_are_let_in_are_served() {
        let shared = fixtures::shared(fixtures::HeldClock::at(Timestamp::from_secs(1)));
        let settings = |on: bool, minutes: u64, networks: &[&str]| MaintenanceSettings {
            on,
            retry_after: Duration::from_secs(60 * minutes),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        };
        let (off, ours) = (settings(false, 10, &["10.0.0.0/8"]), settings(true, 5, &["10.0.0.0/8", "2001:db8::/32"]));
        let asked = |instance: &MaintenanceSettings, route: &MaintenanceSettings, address: &str| {
            let answer = check(&shared, instance, route, address.parse().unwrap());
            answer.err().map(|denial| (denial.reason, denial.retry_after.unwrap().as_secs()))
        };
        assert_eq!(asked(&off, &off, "192.0.2.1"), None);
        for (instance, route) in [(&ours, &off), (&off, &ours)] {
            assert_eq!(asked(instance, route, "192.0.2.1"), Some((Reason::Maintenance, 300)));
            assert_eq!(asked(instance, route, "10.1.2.3"), None);
            assert_eq!(asked(instance, route, "2001:db8::1"), None);
        }
        // Who is let in by one is not by the other.
        assert_eq!(asked(&ours, &settings(true, 1, &[]), "10.1.2.3"), Some((Reason::Maintenance, 60)));
        shared.maintenance.store(true, Ordering::Relaxed);
        assert_eq!(asked(&off, &off, "192.0.2.1"), Some((Reason::Maintenance, 600)));
        assert_eq!(asked(&off, &off, "10.1.2.3"), None);
    }
}
