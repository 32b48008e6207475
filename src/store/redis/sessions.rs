//! Sessions in Redis.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use redis::Script;

use super::generations::raising;
use super::keys::hex;
use super::{MEMBERS_AT_ONCE, Redis};
use crate::model::{Principal, SessionRecord, Timestamp};
use crate::store::{Reply, Sessions, StoreError};

/// KEYS: session, id, all, those of the principal, generation. ARGV: record, public id, digest, seen, idle, ends, end of
/// the keys, generation or 0. Returns the generation, or 0 where the session is taken. Indices live as long as their last
/// session; each creation clears away a few that have ended.
static CREATE: LazyLock<Script> = LazyLock::new(|| {
    raising(
        r"
        if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return 0 end
        local generation = tonumber(ARGV[8])
        if generation == 0 then generation = current(KEYS[5]) end
        raise(KEYS[5], generation, tonumber(ARGV[6]))
        redis.call('HSET', KEYS[1], 'record', ARGV[1], 'id', ARGV[2], 'of', KEYS[4],
            'generation', string.format('%.0f', generation), 'seen', ARGV[4], 'idle', ARGV[5], 'ends', ARGV[6])
        redis.call('PEXPIREAT', KEYS[1], ARGV[7])
        redis.call('SET', KEYS[2], ARGV[3])
        redis.call('PEXPIREAT', KEYS[2], ARGV[6])
        for i = 3, 4 do
            local ended = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', '(' .. string.format('%.0f', now), 'LIMIT', 0, 32)
            if #ended > 0 then redis.call('ZREM', KEYS[i], unpack(ended)) end
            redis.call('ZADD', KEYS[i], ARGV[6], ARGV[2])
            local last = redis.call('ZREVRANGE', KEYS[i], 0, 0, 'WITHSCORES')
            redis.call('PEXPIREAT', KEYS[i], string.format('%.0f', tonumber(last[2])))
        end
        return generation",
    )
});

/// KEYS: generation. ARGV: until when it is kept. Returns the new one.
static NEXT_GENERATION: LazyLock<Script> = LazyLock::new(|| {
    raising(
        r"
        local generation = current(KEYS[1]) + 1
        raise(KEYS[1], generation, tonumber(ARGV[1]))
        return generation",
    )
});

/// KEYS: session. ARGV: time of use. -1: damaged.
static TOUCH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
        local found = redis.call('HMGET', KEYS[1], 'seen', 'idle', 'ends')
        local seen, idle, ends = tonumber(found[1] or ''), tonumber(found[2] or ''), tonumber(found[3] or '')
        if not (seen and idle and ends) then return -1 end
        local at = tonumber(ARGV[1])
        if math.min(ends, seen + idle) <= at then return 0 end
        if at > seen then
            redis.call('HSET', KEYS[1], 'seen', ARGV[1])
            redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.min(ends, at + idle)))
        end
        return 1",
    )
});

/// KEYS: an index. ARGV: prefix of ids, prefix of sessions, public ids. Returns id and fields of each one that is
/// there; ids that lead nowhere are taken out of the index, for a session that is gone never comes back.
static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local found = {}
        for i = 3, #ARGV do
            local digest = redis.call('GET', ARGV[1] .. ARGV[i])
            local key = digest and ARGV[2] .. digest
            if key and redis.call('EXISTS', key) == 1 then
                found[#found + 1] = {ARGV[i], redis.call('HMGET', key, 'record', 'seen', 'generation')}
            else
                redis.call('ZREM', KEYS[1], ARGV[i])
            end
        end
        return found",
    )
});

/// KEYS: id, all. ARGV: prefix of sessions, public id. Returns the fields of what was removed.
static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        redis.call('ZREM', KEYS[2], ARGV[2])
        local digest = redis.call('GET', KEYS[1])
        if not digest then return {false, false, false} end
        local key = ARGV[1] .. digest
        local session = redis.call('HMGET', key, 'record', 'seen', 'generation', 'of')
        redis.call('DEL', KEYS[1], key)
        if session[4] then redis.call('ZREM', session[4], ARGV[2]) end
        return {session[1], session[2], session[3]}",
    )
});

/// What scripts can count exactly.
pub(super) const MAX: u64 = (1 << 53) - 1;

type Bytes = Option<Vec<u8>>;
/// Record, last use, generation.
type Fields = (Bytes, Bytes, Bytes);

impl Sessions for Redis {
    fn create<'a>(&'a self, secret_sha256: &'a [u8; 32], record: &'a SessionRecord) -> Reply<'a, u64> {
        Box::pin(async move {
            let json = serde_json::to_vec(record)
                .map_err(|_| StoreError::Refused("a session's attributes cannot be written as JSON".into()))?;
            let mut create = CREATE.key(self.keys.session(secret_sha256));
            create.key(self.keys.session_id(&record.id)).key(self.keys.sessions());
            create.key(self.keys.sessions_of(&record.principal)).key(self.keys.generation(&record.principal));
            create.arg(json).arg(&*record.id).arg(hex(secret_sha256));
            create.arg(record.seen_at.0.min(MAX)).arg(record.idle_ms.min(MAX)).arg(record.expires_at.0.min(MAX));
            create.arg(record.ends_at().0.min(MAX)).arg(record.generation.min(MAX));
            match self.call::<u64>(&create).await? {
                0 => Err(StoreError::Refused("there is such a session already".into())),
                generation => Ok(generation),
            }
        })
    }

    fn next_generation<'a>(&'a self, of: &'a Principal, until: Timestamp) -> Reply<'a, u64> {
        Box::pin(async move {
            let mut next = NEXT_GENERATION.key(self.keys.generation(of));
            self.call(next.arg(until.0.min(MAX))).await
        })
    }

    fn find<'a>(&'a self, secret_sha256: &'a [u8; 32], now: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        Box::pin(async move {
            let key = self.keys.session(secret_sha256);
            let fields = redis::cmd("HMGET").arg(&key).arg("record").arg("seen").arg("generation").take();
            Ok(read(&key, self.call(&fields).await?)?.filter(|record| record.ends_at() > now))
        })
    }

    fn find_by_id<'a>(&'a self, id: &'a str, now: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        Box::pin(async move {
            let found = self.read_all(&self.keys.sessions(), &[id.as_bytes()]).await?;
            Ok(found.into_iter().find(|record| record.ends_at() > now))
        })
    }

    fn touch<'a>(&'a self, secret_sha256: &'a [u8; 32], at: Timestamp) -> Reply<'a, bool> {
        Box::pin(async move {
            let key = self.keys.session(secret_sha256);
            let mut touch = TOUCH.key(&key);
            match self.call::<i64>(touch.arg(at.0.min(MAX))).await? {
                0 => Ok(false),
                1 => Ok(true),
                _ => Err(StoreError::damaged(key, "a time is missing or no number")),
            }
        })
    }

    fn list<'a>(&'a self, of: Option<&'a Principal>, now: Timestamp) -> Reply<'a, Vec<SessionRecord>> {
        Box::pin(async move {
            let index = of.map_or_else(|| self.keys.sessions(), |principal| self.keys.sessions_of(principal));
            let ids: BTreeSet<_> = self.members(&index).await?.into_iter().map(|(id, _)| id).collect();
            let ids: Vec<_> = ids.iter().map(Vec::as_slice).collect();
            let mut found = Vec::with_capacity(ids.len());
            for some in ids.chunks(MEMBERS_AT_ONCE) {
                found.extend(self.read_all(&index, some).await?);
            }
            found.retain(|record| record.ends_at() > now && of.is_none_or(|principal| record.principal == *principal));
            found.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            Ok(found)
        })
    }

    fn remove<'a>(&'a self, id: &'a str) -> Reply<'a, Option<SessionRecord>> {
        Box::pin(async move {
            let key = self.keys.session_id(id);
            let mut remove = REMOVE.key(&key);
            remove.key(self.keys.sessions()).arg(self.keys.session_prefix()).arg(id);
            read(&key, self.call(&remove).await?)
        })
    }
}

impl Redis {
    async fn read_all(&self, index: &str, ids: &[&[u8]]) -> Result<Vec<SessionRecord>, StoreError> {
        let id_prefix = self.keys.session_id_prefix();
        let mut script = READ.key(index);
        script.arg(&id_prefix).arg(self.keys.session_prefix()).arg(ids);
        let found: Vec<(Vec<u8>, Fields)> = self.call(&script).await?;
        let key = |id: &[u8]| id_prefix.clone() + &String::from_utf8_lossy(id);
        found.into_iter().filter_map(|(id, fields)| read(&key(&id), fields).transpose()).collect()
    }
}

/// Puts the record together; `None` where there is none.
fn read(key: &str, (record, seen, generation): Fields) -> Result<Option<SessionRecord>, StoreError> {
    let (record, seen) = match (record, seen) {
        (None, None) => return Ok(None),
        (Some(record), Some(seen)) => (record, seen),
        _ => return Err(StoreError::damaged(key, "it is incomplete")),
    };
    let mut record: SessionRecord = serde_json::from_slice(&record).map_err(|e| StoreError::damaged_json(key, &e))?;
    record.seen_at = number(&seen)
        .map(Timestamp)
        .ok_or_else(|| StoreError::damaged(key, "the time of its last use is no number"))?;
    // Without one it is of a time before generations, and below them all.
    if let Some(generation) = generation {
        record.generation =
            number(&generation).ok_or_else(|| StoreError::damaged(key, "its generation is no number"))?;
    }
    Ok(Some(record))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
