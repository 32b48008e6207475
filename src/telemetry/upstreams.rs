//! What is counted of upstreams. They count for themselves, and are asked when metrics are rendered.

use std::fmt;
use std::sync::{Arc, Mutex};

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::render::{counter, counters, yes_no};

/// Of one upstream.
#[derive(Debug, Clone)]
pub struct UpstreamCounts {
    /// Its configured name.
    pub name: Arc<str>,
    /// Requests under way.
    pub requests: i64,
    /// Requests that wait for a connection.
    pub pending: usize,
    /// Connections that are open.
    pub connections: i64,
    /// Requests that were sent once more, by cause.
    pub retries: Vec<(&'static str, u64)>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointCounts>,
    /// Of what it is shown, where it is shown something.
    pub credential: Option<CredentialCounts>,
}

/// Of the credential that an upstream is shown.
#[derive(Debug, Clone)]
pub struct CredentialCounts {
    /// Whether there is one to show.
    pub available: bool,
    /// How often one was had.
    pub renewed: u64,
    /// How often none was.
    pub failed: u64,
}

/// Of one endpoint.
#[derive(Debug, Clone)]
pub struct EndpointCounts {
    /// As configured.
    pub name: String,
    /// Whether it is well.
    pub healthy: bool,
    /// Health checks that passed.
    pub checks_passed: u64,
    /// Health checks that failed.
    pub checks_failed: u64,
    /// How often it was ejected.
    pub ejections: u64,
    /// Of the lookups of its name, where there are any.
    pub lookups: Option<LookupCounts>,
}

/// Of the lookups of a name.
#[derive(Debug, Clone)]
pub struct LookupCounts {
    /// Addresses that count now.
    pub addresses: usize,
    /// Lookups that found some.
    pub succeeded: u64,
    /// Lookups that found none.
    pub failed: u64,
}

type Ask = Box<dyn Fn() -> Vec<UpstreamCounts> + Send + Sync>;

/// Who is asked.
#[derive(Default)]
pub(super) struct Source(Mutex<Option<Ask>>);

impl Source {
    pub(super) fn set(&self, ask: impl Fn() -> Vec<UpstreamCounts> + Send + Sync + 'static) {
        if let Ok(mut source) = self.0.lock() {
            *source = Some(Box::new(ask));
        }
    }

    fn ask(&self) -> Vec<UpstreamCounts> {
        self.0.lock().ok().and_then(|source| Some(source.as_ref()?())).unwrap_or_default()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// The families of all upstreams.
pub(super) fn encode(source: &Source, to: &mut DescriptorEncoder) -> fmt::Result {
    let upstreams = source.ask();
    let (name, help) = ("portcullis_upstream_requests_in_flight", "Requests under way to upstreams");
    gauges(to, name, help, &upstreams, |upstream| upstream.requests)?;
    let (name, help) = ("portcullis_upstream_requests_pending", "Requests that wait for a connection to an upstream");
    gauges(to, name, help, &upstreams, |upstream| i64::try_from(upstream.pending).unwrap_or(i64::MAX))?;
    let (name, help) = ("portcullis_upstream_connections", "Connections to upstreams that are open");
    gauges(to, name, help, &upstreams, |upstream| upstream.connections)?;

    let mut family = counters(to, "portcullis_upstream_retries", "Requests sent once more, by upstream and cause")?;
    for upstream in &upstreams {
        for (cause, count) in &upstream.retries {
            counter(&mut family, &[("upstream", &*upstream.name), ("cause", cause)], *count)?;
        }
    }
    let endpoints = || upstreams.iter().flat_map(|upstream| upstream.endpoints.iter().map(|of| (&*upstream.name, of)));
    let (name, help) =
        ("portcullis_upstream_endpoint_healthy", "Whether an endpoint is well, by checks and by requests");
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (upstream, endpoint) in endpoints() {
        let labels = [("upstream", upstream), ("endpoint", &endpoint.name)];
        ConstGauge::new(i64::from(endpoint.healthy)).encode(family.encode_family(&labels)?)?;
    }
    let mut family = counters(to, "portcullis_upstream_health_checks", "Health checks, by endpoint and success")?;
    for (upstream, endpoint) in endpoints() {
        for (ok, count) in [(true, endpoint.checks_passed), (false, endpoint.checks_failed)] {
            let labels = [("upstream", upstream), ("endpoint", &endpoint.name), ("ok", yes_no(ok))];
            counter(&mut family, &labels, count)?;
        }
    }
    let mut family = counters(to, "portcullis_upstream_ejections", "Endpoints left alone after failed requests")?;
    for (upstream, endpoint) in endpoints() {
        counter(&mut family, &[("upstream", upstream), ("endpoint", &endpoint.name)], endpoint.ejections)?;
    }
    let lookups = || endpoints().filter_map(|(upstream, of)| Some((upstream, &of.name, of.lookups.as_ref()?)));
    let (name, help) = ("portcullis_upstream_endpoint_addresses", "Addresses of an endpoint's name");
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (upstream, endpoint, of) in lookups() {
        let count = i64::try_from(of.addresses).unwrap_or(i64::MAX);
        ConstGauge::new(count).encode(family.encode_family(&[("upstream", upstream), ("endpoint", endpoint)])?)?;
    }
    let mut family = counters(to, "portcullis_upstream_lookups", "Lookups of names, by endpoint and success")?;
    for (upstream, endpoint, of) in lookups() {
        for (ok, count) in [(true, of.succeeded), (false, of.failed)] {
            let labels = [("upstream", upstream), ("endpoint", endpoint), ("ok", yes_no(ok))];
            counter(&mut family, &labels, count)?;
        }
    }
    let credentials = || upstreams.iter().filter_map(|upstream| Some((&*upstream.name, upstream.credential.as_ref()?)));
    let (name, help) =
        ("portcullis_upstream_credential_available", "Whether there is a credential to show an upstream");
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (upstream, of) in credentials() {
        ConstGauge::new(i64::from(of.available)).encode(family.encode_family(&[("upstream", upstream)])?)?;
    }
    let (name, help) =
        ("portcullis_upstream_credential_renewals", "Credentials had for upstreams, by upstream and success");
    let mut family = counters(to, name, help)?;
    for (upstream, of) in credentials() {
        for (ok, count) in [(true, of.renewed), (false, of.failed)] {
            counter(&mut family, &[("upstream", upstream), ("ok", yes_no(ok))], count)?;
        }
    }
    Ok(())
}

fn gauges(
    to: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    upstreams: &[UpstreamCounts],
    value: impl Fn(&UpstreamCounts) -> i64,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for upstream in upstreams {
        ConstGauge::new(value(upstream)).encode(family.encode_family(&[("upstream", &*upstream.name)])?)?;
    }
    Ok(())
}
