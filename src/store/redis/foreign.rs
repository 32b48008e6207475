//! An application's sessions in Redis. Its keys have its own prefix, never ours.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use super::Redis;
use crate::store::{ForeignRecord, ForeignSessions, RecordKind, Reply, StoreError};

/// ARGV: the record's key, its type, most bytes, most fields. Returns how it went, milliseconds to live, the value or
/// names and values in turn. Sizes are asked first, so that a huge record costs neither Redis nor us its size. The key is
/// not among KEYS: for those a user must have the right to write, whatever the script does.
static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local kind = redis.call('TYPE', ARGV[1])['ok']
        if kind == 'none' then return {'absent', -2, {}} end
        if kind ~= ARGV[2] then return {'other', -1, {}} end
        local most, lives = tonumber(ARGV[3]), redis.call('PTTL', ARGV[1])
        if kind == 'string' then
            if redis.call('STRLEN', ARGV[1]) > most then return {'large', lives, {}} end
            return {'there', lives, {redis.call('GET', ARGV[1])}}
        end
        if redis.call('HLEN', ARGV[1]) > tonumber(ARGV[4]) then return {'large', lives, {}} end
        local size = 0
        for _, name in ipairs(redis.call('HKEYS', ARGV[1])) do
            size = size + #name + redis.call('HSTRLEN', ARGV[1], name)
        end
        if size > most then return {'large', lives, {}} end
        return {'there', lives, redis.call('HGETALL', ARGV[1])}",
    )
});

/// No session has more attributes.
const MOST_FIELDS: usize = 512;

impl ForeignSessions for Redis {
    fn read<'a>(&'a self, key: &'a str, kind: RecordKind, most: usize) -> Reply<'a, ForeignRecord> {
        Box::pin(async move {
            let mut read = READ.arg(key);
            let kind = match kind {
                RecordKind::Text => "string",
                RecordKind::Hash => "hash",
            };
            read.arg(kind).arg(most).arg(MOST_FIELDS);
            let (found, lives, parts): (String, i64, Vec<Vec<u8>>) = self.call(&read).await?;
            match found.as_str() {
                "absent" => Ok(ForeignRecord::Absent),
                "other" => Ok(ForeignRecord::OtherType),
                "large" => Ok(ForeignRecord::TooLarge),
                "there" => {
                    Ok(ForeignRecord::There { parts, ends_in: u64::try_from(lives).ok().map(Duration::from_millis) })
                }
                _ => Err(StoreError::Refused("Redis gave an answer of an unexpected type".into())),
            }
        })
    }
}
