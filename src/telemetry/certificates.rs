//! When certificates and revocation lists end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::model::Timestamp;
use crate::model::expiry::Expiries;

/// Of the configuration in force.
#[derive(Debug, Default)]
pub(super) struct CertificateTimes {
    pub(super) expiries: ArcSwap<Expiries>,
    /// When it was last asked for; of a bundle the next to end counts.
    now: AtomicU64,
}

impl CertificateTimes {
    pub(super) fn at(&self, now: Timestamp) -> Arc<Expiries> {
        self.now.store(now.0, Ordering::Relaxed);
        self.expiries.load_full()
    }

    pub(super) fn encode(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let help = "When a certificate or revocation list ends; of several in a file the first, of CAs the next";
        let name = "portcullis_certificate_expiry_timestamp_seconds";
        let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let now = Timestamp(self.now.load(Ordering::Relaxed));
        for expiry in &self.expiries.load().files {
            let until = i64::try_from(expiry.next(now).until.as_secs()).unwrap_or(i64::MAX);
            let labels = [("kind", expiry.kind.label()), ("name", &*expiry.name), ("file", &*expiry.file)];
            ConstGauge::new(until).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
