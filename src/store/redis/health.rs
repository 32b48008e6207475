//! Whether Redis answers and may be trusted with what it is given.

use std::collections::HashMap;

use super::Redis;
use crate::store::StoreError;

/// An evicting server would forget revocations: a policy other than `noeviction` is refused where memory is limited.
pub(super) async fn ping(redis: &Redis) -> Result<(), StoreError> {
    redis.call::<redis::Value>(&redis::cmd("PING")).await?;
    let (limit, policy) = match configured(redis).await {
        Ok(found) => found,
        // `CONFIG` is often forbidden; `INFO` tells the same.
        Err(StoreError::Refused(_)) => match told(redis).await {
            Err(StoreError::Refused(_)) => return Err(unknown()),
            found => found?,
        },
        Err(error) => return Err(error),
    };
    if limit > 0 && policy != "noeviction" {
        return Err(StoreError::Misconfigured(format!(
            "Redis has `maxmemory-policy {policy}`: it would forget revocations when memory runs short; \
             set `maxmemory-policy noeviction`"
        )));
    }
    Ok(())
}

async fn configured(redis: &Redis) -> Result<(u64, String), StoreError> {
    let mut found = HashMap::new();
    for name in ["maxmemory", "maxmemory-policy"] {
        let value: HashMap<String, String> = redis.call(redis::cmd("CONFIG").arg("GET").arg(name)).await?;
        found.extend(value);
    }
    read(found.get("maxmemory").map(String::as_str), found.get("maxmemory-policy").map(String::as_str))
}

async fn told(redis: &Redis) -> Result<(u64, String), StoreError> {
    let info: String = redis.call(redis::cmd("INFO").arg("memory")).await?;
    let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
    read(line("maxmemory:"), line("maxmemory_policy:"))
}

fn read(limit: Option<&str>, policy: Option<&str>) -> Result<(u64, String), StoreError> {
    match (limit.and_then(|limit| limit.parse().ok()), policy) {
        (Some(limit), Some(policy)) => Ok((limit, policy.to_owned())),
        _ => Err(StoreError::Refused("Redis does not tell its `maxmemory-policy`".into())),
    }
}

fn unknown() -> StoreError {
    StoreError::Misconfigured(
        "cannot tell whether Redis evicts: permit its user `INFO` or `CONFIG GET` (ACL `+info` or `+config|get`)"
            .into(),
    )
}
