//! What is told of the configuration in force, of reloads and of upgrades.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::render::{counter, counters};
use crate::model::Timestamp;

/// Reloads by outcome, and what is in force.
#[derive(Debug, Default)]
pub(super) struct ReloadCounts {
    applied: AtomicU64,
    refused: AtomicU64,
    failed_upgrades: AtomicU64,
    in_force: ArcSwapOption<(Arc<str>, Timestamp)>,
}

impl ReloadCounts {
    pub(super) fn ended(&self, applied: bool) {
        if applied { &self.applied } else { &self.refused }.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn upgrade_failed(&self) {
        self.failed_upgrades.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn in_force(&self, digest: &str, since: Timestamp) {
        self.in_force.store(Some(Arc::new((digest.into(), since))));
    }

    pub(super) fn encode(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let mut family = counters(to, "portcullis_reloads", "Reloads of the configuration, by outcome")?;
        for (outcome, count) in [("applied", &self.applied), ("refused", &self.refused)] {
            counter(&mut family, &[("outcome", outcome)], count.load(Ordering::Relaxed))?;
        }
        let help = "Upgrades that this process has begun, by outcome; after one that succeeds it serves no metrics";
        let mut family = counters(to, "portcullis_upgrades", help)?;
        counter(&mut family, &[("outcome", "failed")], self.failed_upgrades.load(Ordering::Relaxed))?;
        let Some(in_force) = self.in_force.load_full() else { return Ok(()) };
        let (digest, since) = &*in_force;
        let help = "Since when the configuration of this digest is in force";
        let name = "portcullis_configuration_timestamp_seconds";
        let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
        #[expect(clippy::cast_precision_loss, reason = "a time of this age needs 41 bits of precision")]
        let seconds = ConstGauge::new(since.0 as f64 / 1e3);
        seconds.encode(family.encode_family(&[("digest", &**digest)])?)
    }
}
