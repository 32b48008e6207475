//! How much of anything one request of a route may take.

use std::time::Duration;

/// Bounds of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteBounds {
    /// Bytes of its body; `None`: as many as come.
    pub max_body: Option<u64>,
    /// Time until the head of its answer; `None`: what the upstream's own timeouts say.
    pub timeout: Option<Duration>,
    /// Time that its answer, once begun, may send nothing; `None`: for ever.
    pub stream_idle: Option<Duration>,
}

impl Default for RouteBounds {
    fn default() -> Self {
        Self { max_body: Some(10 << 20), timeout: None, stream_idle: None }
    }
}
