//! What may be used once, in Redis.

use std::time::Duration;

use super::Redis;
use crate::store::{Replays, Reply};

impl Replays for Redis {
    fn first_use<'a>(&'a self, digest: &'a [u8; 32], keep: Duration) -> Reply<'a, bool> {
        Box::pin(async move {
            // Redis wants at least one millisecond.
            let millis = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST_MILLIS);
            let mut set = redis::cmd("SET");
            set.arg(self.keys.used(digest)).arg(1).arg("NX").arg("PX").arg(millis);
            let set: Option<String> = self.call(&set).await?;
            Ok(set.is_some())
        })
    }
}

/// A day; more than anything is kept for, and far from where Redis counts over.
const LONGEST_MILLIS: u64 = 24 * 3600 * 1000;
