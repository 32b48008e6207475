//! What the process tells: logs and metrics.

pub mod log;
pub mod metrics;

pub use metrics::Metrics;
