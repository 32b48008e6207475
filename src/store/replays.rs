//! What a store does against replays.

use std::time::Duration;

use super::Reply;

/// What may be used once. Nothing that was noted is ever forgotten before its time: where there is no room, calls fail.
pub trait Replays: Send + Sync {
    /// Notes the use of what has this digest, for `keep`; says whether it was the first. A call that is repeated because
    /// its answer was lost may deny that.
    fn first_use<'a>(&'a self, digest: &'a [u8; 32], keep: Duration) -> Reply<'a, bool>;
}
