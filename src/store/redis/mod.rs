//! In Redis.

use std::time::Duration;

use super::{Store, StoreError};
use crate::model::settings::RedisSettings;

pub(super) fn open(settings: &RedisSettings, prefix: &str, timeout: Duration) -> Result<Store, StoreError> {
    let _ = (settings, prefix, timeout);
    todo!()
}
