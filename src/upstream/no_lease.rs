//! A connection that is not to be had.

use crate::model::Denial;

/// Why there is no connection.
pub(super) struct NoLease {
    pub(super) why: Denial,
    /// Whether another request has tried, and tells of it, while this one waited for what it opens.
    pub(super) told: bool,
}

impl From<Denial> for NoLease {
    fn from(why: Denial) -> Self {
        Self { why, told: false }
    }
}
