//! What the process tells: logs and metrics.

mod histogram;
pub mod log;
pub mod metrics;
mod render;

pub use metrics::Metrics;
