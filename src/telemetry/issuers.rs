//! What is counted of issuers' keys.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::render::{counter, counters, yes_no};
use crate::model::Timestamp;

/// Of one issuer.
#[derive(Debug, Default)]
pub(super) struct IssuerCounts {
    pub(super) name: Arc<str>,
    succeeded: AtomicU64,
    failed: AtomicU64,
    demands: AtomicU64,
    /// When its keys were fetched, in milliseconds since the epoch; 0 without keys that were.
    fetched_at: AtomicU64,
}

impl IssuerCounts {
    pub(super) fn new(name: &Arc<str>) -> Self {
        Self { name: Arc::clone(name), ..Self::default() }
    }

    pub(super) fn refreshed(&self, ok: bool) {
        if ok { &self.succeeded } else { &self.failed }.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn demanded(&self) {
        self.demands.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn keys(&self, fetched_at: Timestamp) {
        self.fetched_at.store(fetched_at.0, Ordering::Relaxed);
    }
}

/// The families of all issuers.
pub(super) fn encode(issuers: &[Arc<IssuerCounts>], to: &mut DescriptorEncoder) -> fmt::Result {
    let help = "Fetches of issuers' keys, by issuer and success";
    let mut family = counters(to, "portcullis_jwks_refreshes", help)?;
    for issuer in issuers {
        for (ok, count) in [(true, &issuer.succeeded), (false, &issuer.failed)] {
            counter(&mut family, &[("issuer", &*issuer.name), ("ok", yes_no(ok))], count.load(Ordering::Relaxed))?;
        }
    }
    let help = "Fetches of issuers' keys that a token caused because no key fitted it, by issuer";
    let mut family = counters(to, "portcullis_jwks_demands", help)?;
    for issuer in issuers {
        counter(&mut family, &[("issuer", &*issuer.name)], issuer.demands.load(Ordering::Relaxed))?;
    }
    let help = "When the keys in use were fetched, by issuer; absent where none were";
    let name = "portcullis_jwks_fetched_timestamp_seconds";
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for issuer in issuers {
        let millis = issuer.fetched_at.load(Ordering::Relaxed);
        if millis > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a time of this age needs 41 bits of precision")]
            let seconds = ConstGauge::new(millis as f64 / 1e3);
            seconds.encode(family.encode_family(&[("issuer", &*issuer.name)])?)?;
        }
    }
    Ok(())
}
