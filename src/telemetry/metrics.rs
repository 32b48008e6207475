//! Counters and gauges, in the OpenMetrics text format.

use std::time::Duration;

use crate::model::denial::Reason;
use crate::model::{CredentialKind, Observer};

/// All metrics of the process. Handles are resolved once; counting takes no lock.
pub struct Metrics {}

impl Metrics {
    /// With a series for each of these routes.
    pub fn new(routes: &[std::sync::Arc<str>]) -> Self {
        let _ = routes;
        todo!()
    }
    /// A request was answered. `route`: `None` where none was chosen.
    pub fn request(&self, route: Option<&str>, status: u16, took: Duration) {
        let _ = (route, status, took);
    }
    /// A request was refused.
    pub fn denial(&self, reason: Reason) {
        let _ = reason;
    }
    /// A credential was looked up in the cache of verified credentials.
    pub fn credential(&self, kind: CredentialKind, cached: bool) {
        let _ = (kind, cached);
    }
    /// A client connection was opened (+1) or closed (−1).
    pub fn connection(&self, change: i64) {
        let _ = change;
    }
    /// The revocation log was read: how old what we know is, and how many entries live.
    pub fn revocation(&self, staleness: Duration, entries: usize) {
        let _ = (staleness, entries);
    }
    /// All of it, as `application/openmetrics-text`.
    pub fn render(&self) -> String {
        todo!()
    }
}

impl Observer for Metrics {}
