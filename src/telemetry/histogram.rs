//! A histogram without a lock: prometheus-client's own is a mutex, and every request would take it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds, in microseconds.
const BOUNDS_MICROS: [u64; 18] = [
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// How often which duration was seen.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub(super) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Adds what this one has seen to `into`.
    pub(super) fn add_to(&self, into: &mut Snapshot) {
        for (sum, bucket) in into.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        into.sum_micros = into.sum_micros.wrapping_add(self.sum_micros.load(Ordering::Relaxed));
    }
}

/// What several histograms have seen together.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    buckets: [u64; BOUNDS_MICROS.len() + 1],
    sum_micros: u64,
}

impl Snapshot {
    /// How many durations.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum in seconds.
    #[expect(clippy::cast_precision_loss, reason = "a sum of durations needs no more than 52 bits of precision")]
    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_micros as f64 / 1e6
    }

    /// Upper bound in seconds and count (not cumulative) of each bucket, as prometheus-client encodes them.
    #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        bounds.zip(self.buckets.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::default();
        for micros in [0, 25, 26, 1_000, 11_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut seen = Snapshot::default();
        histogram.add_to(&mut seen);
        let filled: Vec<_> = seen.buckets().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(25e-6, 2), (50e-6, 1), (1e-3, 1), (f64::INFINITY, 1)]);
        assert_eq!(seen.count(), 5);
        assert!((seen.sum_seconds() - 11.001_051).abs() < 1e-9);
    }
}
