//! `[upstream.NAME]`: which of its endpoints may get requests.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// How an upstream's endpoints are found to be well or not, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Whether each endpoint is asked how it is; `None`: nobody asks.
    pub check: Option<HealthCheck>,
    /// Whether endpoints that fail requests are left alone for a while; `None`: they are not.
    pub ejection: Option<Ejection>,
    /// When fewer than this share of the endpoints are well, in percent, all get requests again; 0: never.
    pub panic_below: u32,
    /// For how long an endpoint that comes back gets less than its share; `None`: it has all of it at once.
    pub slow_start: Option<Duration>,
}

impl Default for EndpointHealth {
    fn default() -> Self {
        Self { check: None, ejection: None, panic_below: 50, slow_start: None }
    }
}

/// `health`: what each endpoint is asked, and what its answers mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path and query of the `GET`, in origin-form.
    pub path: Arc<str>,
    /// What it is told as `Host`; `None`: the endpoint's own name.
    pub host: Option<Arc<str>>,
    /// From the end of one check to the next.
    pub interval: Duration,
    /// Most that is added to an interval, in percent of it and drawn anew each time.
    pub jitter: u32,
    /// For a whole check: connection, TLS and answer.
    pub timeout: Duration,
    /// So many in a row that pass make an endpoint healthy again.
    pub healthy: u32,
    /// So many in a row that fail make it unhealthy.
    pub unhealthy: u32,
    /// The statuses that pass.
    pub pass: Statuses,
}

/// `ejection`: what failures of requests mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejection {
    /// So many in a row eject an endpoint.
    pub failures: u32,
    /// For so long the first time; twice as long the second, and so on.
    pub base_time: Duration,
    /// But never longer.
    pub max_time: Duration,
    /// No more than this share of the endpoints is ejected at once, in percent.
    pub max_percent: u32,
    /// Statuses that are failures too.
    pub statuses: Statuses,
}

/// How much an upstream is given at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Requests under way of all workers together, those that wait included; `None`: as many as come.
    pub max_requests: Option<usize>,
    /// How many of them may wait for a connection while all are in use; 0: none does.
    pub max_pending: usize,
    /// For how long.
    pub pending: Duration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self { max_requests: None, max_pending: 0, pending: Duration::from_secs(2) }
    }
}

/// Statuses of answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statuses(pub Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Whether this is one of them.
    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}
