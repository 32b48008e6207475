//! Tells in time that certificates and revocation lists end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::reload::InForce;
use crate::crypto::expiry;
use crate::model::Timestamp;
use crate::model::expiry::{Expiries, Expiry, ExpiryKind};
use crate::model::settings::Settings;

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(60);
/// How often one file is spoken of.
const DAY: Duration = Duration::from_secs(86_400);

/// What of a configuration ends.
pub(super) fn expiries(settings: &Settings) -> Expiries {
    Expiries { files: expiry::of(settings), notice: settings.server.certificate_warning }
}

/// Logs once a day what ends soon, of whatever configuration is in force.
pub(super) async fn remind(in_force: InForce) {
    let mut reminder = Reminder::default();
    let mut reloads = in_force.traits.subscribe();
    loop {
        let shared = in_force.shared.load_full();
        let now = shared.clock.now();
        for warning in reminder.due(&shared.metrics.certificates_at(now), now) {
            tracing::warn!("{warning}");
        }
        drop(shared);
        tokio::select! {
            () = sleep(PERIOD) => {}
            Ok(()) = reloads.changed() => {}
        }
    }
}

/// What has been said, and when.
#[derive(Default)]
struct Reminder(HashMap<(ExpiryKind, Arc<str>, Arc<str>), Said>);

struct Said {
    /// A file that is another one by now is spoken of at once.
    until: Timestamp,
    at: Timestamp,
}

impl Reminder {
    fn due(&mut self, expiries: &Expiries, now: Timestamp) -> Vec<String> {
        let mut due = Vec::new();
        let key = |expiry: &Expiry| (expiry.kind, expiry.name.clone(), expiry.file.clone());
        for warning in expiries.warnings(now) {
            let said = self.0.get(&key(warning.expiry));
            if said.is_none_or(|said| said.until != warning.until || now.since(said.at) >= DAY) {
                due.push(warning.to_string());
                self.0.insert(key(warning.expiry), Said { until: warning.until, at: now });
            }
        }
        self.0.retain(|known, _| expiries.files.iter().any(|expiry| key(expiry) == *known));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::expiry::Lifetime;

    #[test]
    fn a_file_is_spoken_of_once_a_day_and_when_it_is_another_one() {
        let at = |hours: u64| Timestamp::from_secs(hours * 3600);
        let expiries = |until: u64| {
            let lifetimes = vec![Lifetime { from: at(0), until: at(until) }];
            let expiry = Expiry { kind: ExpiryKind::Listener, name: "main".into(), file: "a.pem".into(), lifetimes };
            Expiries { files: vec![expiry], notice: 7 * DAY }
        };
        let mut reminder = Reminder::default();
        assert_eq!(reminder.due(&expiries(2000), at(1800)).len(), 0);
        assert_eq!(reminder.due(&expiries(2000), at(1900)).len(), 1);
        assert_eq!(reminder.due(&expiries(2000), at(1923)).len(), 0);
        assert_eq!(reminder.due(&expiries(2000), at(1924)).len(), 1);
        assert_eq!(reminder.due(&expiries(1990), at(1925)).len(), 1, "another one");
        assert_eq!(reminder.due(&Expiries::default(), at(1926)).len(), 0);
        assert_eq!(reminder.due(&expiries(1990), at(1926)).len(), 1, "it was away");
    }
}
