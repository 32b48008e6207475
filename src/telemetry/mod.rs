//! What the process tells: logs and metrics.

mod certificates;
mod histogram;
mod issuers;
pub mod log;
pub mod metrics;
mod objections;
mod proof;
mod reload;
mod render;
mod upstreams;

pub use metrics::Metrics;
pub use proof::ProofOutcome;
pub use upstreams::{CredentialCounts, EndpointCounts, LookupCounts, UpstreamCounts};
