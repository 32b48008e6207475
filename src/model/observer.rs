//! How layers below telemetry report to it.

use std::time::Duration;

use super::Timestamp;

/// What the lower layers have to tell; telemetry counts it. Every method does nothing by default.
pub trait Observer: Send + Sync + 'static {
    /// A call to the store ended.
    fn store_call(&self, operation: &'static str, took: Duration, ok: bool) {
        let _ = (operation, took, ok);
    }
    /// An issuer's keys were fetched, or not.
    fn jwks_refresh(&self, issuer: &str, ok: bool) {
        let _ = (issuer, ok);
    }
    /// A token that no key of this issuer fits causes such a fetch.
    fn jwks_demand(&self, issuer: &str) {
        let _ = issuer;
    }
    /// From now on this issuer's keys are those that were fetched then.
    fn jwks_keys(&self, issuer: &str, fetched_at: Timestamp) {
        let _ = (issuer, fetched_at);
    }
    /// A client connection was opened (+1) or closed (−1).
    fn connection(&self, change: i64) {
        let _ = change;
    }
    /// A client connection was closed before its first request, for this reason (a metric's label).
    fn connection_refused(&self, reason: &'static str) {
        let _ = reason;
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
