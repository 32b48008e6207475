//! Turns the counts of all workers into OpenMetrics families.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::histogram::Snapshot;
use super::issuers;
use super::metrics::{CLASSES, CREDENTIALS, Counts, NEVER, Named, Shard, StoreCalls, credential_index};
use super::proof::ProofOutcome;
use super::upstreams;
use crate::model::Revocation;
use crate::model::denial::Reason;

impl Collector for Counts {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let to = &mut encoder;
        self.requests(to)?;
        self.denials(to)?;
        self.credentials(to)?;
        self.proofs(to)?;
        self.durations(to)?;
        self.gauges(to)?;
        self.live_streams_ended(to)?;
        self.refused_connections(to)?;
        self.store_calls(to)?;
        self.reloads.encode(to)?;
        self.certificates.encode(to)?;
        self.objections.encode(to)?;
        issuers::encode(&self.issuers.load(), to)?;
        upstreams::encode(&self.upstreams, to)
    }
}

impl Counts {
    fn requests(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let mut family = counters(to, "portcullis_requests", "Requests answered, by route and class of status")?;
        let routes = self.routes.load();
        for (route, counts) in routes.names.iter().zip(&routes.counts) {
            for (class, status) in CLASSES.iter().enumerate() {
                let shards = counts.iter().filter_map(|route| route.classes.get(class));
                let count = shards.map(|count| count.load(Ordering::Relaxed)).sum();
                counter(&mut family, &[("route", &**route), ("status", status)], count)?;
            }
        }
        Ok(())
    }

    fn denials(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let mut family = counters(to, "portcullis_denials", "Requests refused, by reason")?;
        for reason in Reason::ALL {
            let count = self.sum(|shard| shard.denials.get(*reason as usize));
            counter(&mut family, &[("reason", reason.row().label)], count)?;
        }
        Ok(())
    }

    fn credentials(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Credentials looked up, by kind and whether the cache of verified credentials had them";
        let mut family = counters(to, "portcullis_credentials", help)?;
        for kind in CREDENTIALS {
            for cached in [false, true] {
                let count = self.sum(|shard| shard.credentials.get(credential_index(kind, cached)));
                counter(&mut family, &[("kind", kind.name()), ("cached", yes_no(cached))], count)?;
            }
        }
        Ok(())
    }

    fn proofs(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let mut family = counters(to, "portcullis_dpop_proofs", "DPoP proofs looked at, by what became of them")?;
        for outcome in ProofOutcome::ALL {
            let count = self.sum(|shard| shard.proofs.get(outcome as usize));
            counter(&mut family, &[("outcome", outcome.name())], count)?;
        }
        Ok(())
    }

    fn durations(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Time from a request's head to the head of its answer, by route";
        let mut family =
            to.encode_descriptor("portcullis_request_duration_seconds", help, None, MetricType::Histogram)?;
        let routes = self.routes.load();
        for (route, counts) in routes.names.iter().zip(&routes.counts) {
            let mut seen = Snapshot::default();
            counts.iter().for_each(|route| route.duration.add_to(&mut seen));
            histogram(&mut family, &[("route", &**route)], &seen)?;
        }
        Ok(())
    }

    fn gauges(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let connections: i64 = self.shards.iter().map(|shard| shard.connections.load(Ordering::Relaxed)).sum();
        gauge(to, "portcullis_connections", "Client connections that are open", connections)?;

        let live: i64 = self.shards.iter().map(|shard| shard.live.load(Ordering::Relaxed)).sum();
        let help = "Requests and streams under way that rest on a credential, as of at most a second ago";
        gauge(to, "portcullis_live_streams", help, live)?;

        let staleness = match self.staleness_millis.load(Ordering::Relaxed) {
            NEVER => f64::INFINITY,
            #[expect(clippy::cast_precision_loss, reason = "an age needs no more than 52 bits of precision")]
            millis => millis as f64 / 1e3,
        };
        let help = "How old what is known of the revocation log is; infinite before it was first read";
        gauge(to, "portcullis_revocation_staleness_seconds", help, staleness)?;
        let (name, help) = ("portcullis_revocations", "Live entries of the revocation log, by kind");
        let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (kind, count) in Revocation::KINDS.iter().zip(&self.revocations) {
            ConstGauge::new(count.load(Ordering::Relaxed)).encode(family.encode_family(&[("kind", *kind)])?)?;
        }
        gauge(to, "portcullis_ready", "Whether new requests are welcome", self.ready.load(Ordering::Relaxed))?;

        let mut info = to.encode_descriptor("portcullis_build", "Which build this is", None, MetricType::Info)?;
        info.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }

    fn live_streams_ended(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Requests and streams ended because their credential counts no more, by reason";
        let mut family = counters(to, "portcullis_live_streams_ended", help)?;
        for reason in Reason::ALL {
            let count = self.sum(|shard| shard.ended.get(*reason as usize));
            if count > 0 {
                counter(&mut family, &[("reason", reason.row().label)], count)?;
            }
        }
        Ok(())
    }

    fn refused_connections(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Client connections closed before their first request, by reason";
        let mut family = counters(to, "portcullis_connections_refused", help)?;
        for (reason, count) in self.refused.iter().filter_map(Named::taken) {
            counter(&mut family, &[("reason", reason)], count.load(Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn store_calls(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let named = || self.store_calls.iter().filter_map(Named::taken);
        let mut family = counters(to, "portcullis_store_calls", "Calls to the store, by operation and success")?;
        for (operation, StoreCalls { succeeded, failed, .. }) in named() {
            for (ok, count) in [(true, succeeded), (false, failed)] {
                counter(&mut family, &[("operation", operation), ("ok", yes_no(ok))], count.load(Ordering::Relaxed))?;
            }
        }
        let help = "Time that calls to the store took, by operation";
        let name = "portcullis_store_call_duration_seconds";
        let mut family = to.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (operation, call) in named() {
            let mut seen = Snapshot::default();
            call.duration.add_to(&mut seen);
            histogram(&mut family, &[("operation", operation)], &seen)?;
        }
        Ok(())
    }

    fn sum<'a>(&'a self, of: impl Fn(&'a Shard) -> Option<&'a AtomicU64>) -> u64 {
        self.shards.iter().filter_map(of).map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

pub(super) const fn yes_no(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// A family of counters; the encoder adds `_total` to the name.
pub(super) fn counters<'a>(
    to: &'a mut DescriptorEncoder,
    name: &'a str,
    help: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    to.encode_descriptor(name, help, None, MetricType::Counter)
}

pub(super) fn counter<const N: usize>(
    family: &mut MetricEncoder,
    labels: &[(&str, &str); N],
    count: u64,
) -> fmt::Result {
    ConstCounter::new(count).encode(family.encode_family(labels)?)
}

fn histogram<const N: usize>(family: &mut MetricEncoder, labels: &[(&str, &str); N], seen: &Snapshot) -> fmt::Result {
    type NoExemplar = [(&'static str, &'static str); 0];
    let mut encoder = family.encode_family(labels)?;
    encoder.encode_histogram::<NoExemplar>(seen.sum_seconds(), seen.count(), &seen.buckets(), None)
}

fn gauge<N>(to: &mut DescriptorEncoder, name: &str, help: &str, value: N) -> fmt::Result
where
    ConstGauge<N>: EncodeMetric,
{
    let encoder = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(encoder)
}
