//! How layers below telemetry report to it.

use std::time::Duration;

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
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
