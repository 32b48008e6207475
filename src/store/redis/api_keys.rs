//! API keys in Redis.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use redis::Script;

use super::{MEMBERS_AT_ONCE, Redis};
use crate::model::{ApiKeyRecord, Timestamp};
use crate::store::{ApiKeys, Reply, StoreError};

/// KEYS: key, all. ARGV: record, public id, creation.
static CREATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
        redis.call('HSET', KEYS[1], 'record', ARGV[1])
        redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
        return 1",
    )
});

/// KEYS: key. ARGV: time. The first time stays.
static REVOKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('EXISTS', KEYS[1]) == 0 then return {false, false, false} end
        redis.call('HSETNX', KEYS[1], 'revoked', ARGV[1])
        return redis.call('HMGET', KEYS[1], 'record', 'used', 'revoked')",
    )
});

/// KEYS: key. ARGV: time. Times only go forward.
static TOUCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
        local used = tonumber(redis.call('HGET', KEYS[1], 'used') or '') or 0
        if tonumber(ARGV[1]) > used then redis.call('HSET', KEYS[1], 'used', ARGV[1]) end
        return 1",
    )
});

type Bytes = Option<Vec<u8>>;
/// Record, last use, revocation.
type Fields = (Bytes, Bytes, Bytes);

impl ApiKeys for Redis {
    fn create<'a>(&'a self, record: &'a ApiKeyRecord) -> Reply<'a, ()> {
        Box::pin(async move {
            let json = serde_json::to_vec(record)
                .map_err(|_| StoreError::Refused("an API key cannot be written as JSON".into()))?;
            let mut create = CREATE.key(self.keys.api_key(&record.id));
            create.key(self.keys.api_keys()).arg(json).arg(&*record.id).arg(record.created_at.0);
            match self.call::<i64>(&create).await? {
                1 => Ok(()),
                _ => Err(StoreError::Refused("there is such an API key already".into())),
            }
        })
    }

    fn find<'a>(&'a self, id: &'a str) -> Reply<'a, Option<ApiKeyRecord>> {
        Box::pin(async move {
            let key = self.keys.api_key(id);
            read(&key, id, self.call(&fields(&key)).await?)
        })
    }

    fn list(&self) -> Reply<'_, Vec<ApiKeyRecord>> {
        Box::pin(async move {
            let index = self.keys.api_keys();
            let mut ids = BTreeSet::new();
            for (id, _) in self.members(&index).await? {
                ids.insert(String::from_utf8(id).map_err(|_| StoreError::damaged(&index, "an id is not UTF-8"))?);
            }
            let ids: Vec<_> = ids.into_iter().collect();
            let mut found = Vec::with_capacity(ids.len());
            for some in ids.chunks(MEMBERS_AT_ONCE) {
                let mut ask = redis::pipe();
                for id in some {
                    ask.add_command(fields(&self.keys.api_key(id)));
                }
                let answers: Vec<Fields> = self.call(&ask).await?;
                for (id, answer) in some.iter().zip(answers) {
                    found.extend(read(&self.keys.api_key(id), id, answer)?);
                }
            }
            found.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            Ok(found)
        })
    }

    fn revoke<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, Option<ApiKeyRecord>> {
        Box::pin(async move {
            let key = self.keys.api_key(id);
            read(&key, id, self.call(REVOKE.key(&key).arg(at.0)).await?)
        })
    }

    fn touch<'a>(&'a self, id: &'a str, at: Timestamp) -> Reply<'a, ()> {
        Box::pin(async move {
            self.call::<i64>(TOUCH.key(self.keys.api_key(id)).arg(at.0)).await?;
            Ok(())
        })
    }
}

fn fields(key: &str) -> redis::Cmd {
    redis::cmd("HMGET").arg(key).arg("record").arg("used").arg("revoked").take()
}

/// Puts the record together; `None` where there is none.
fn read(key: &str, id: &str, (record, used, revoked): Fields) -> Result<Option<ApiKeyRecord>, StoreError> {
    let Some(record) = record else {
        return match (used, revoked) {
            (None, None) => Ok(None),
            _ => Err(StoreError::damaged(key, "it is incomplete")),
        };
    };
    let mut record: ApiKeyRecord = serde_json::from_slice(&record).map_err(|e| StoreError::damaged_json(key, &e))?;
    if *record.id != *id {
        return Err(StoreError::damaged(key, "it is the record of another key"));
    }
    record.used_at = record.used_at.max(time(key, used)?);
    record.revoked_at = record.revoked_at.or(time(key, revoked)?);
    Ok(Some(record))
}

fn time(key: &str, text: Bytes) -> Result<Option<Timestamp>, StoreError> {
    let Some(text) = text else { return Ok(None) };
    let time = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    time.map(|time| Some(Timestamp(time))).ok_or_else(|| StoreError::damaged(key, "a time is no number"))
}
