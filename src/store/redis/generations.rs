//! Which generation of sessions a principal is in, within scripts; see [`Sessions`](crate::store::Sessions) for why it
//! is a time.

use redis::Script;

/// A script that has `now` (ms), `current(key)`: the generation of what begins now, and `raise(key, generation, ends)`:
/// the counter is never below `generation` from now on, until `ends` at least.
pub(super) fn raising(code: &str) -> Script {
    const FUNCTIONS: &str = r"
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local function current(key)
            return math.max(now, tonumber(redis.call('GET', key) or '') or 0)
        end
        local function raise(key, generation, ends)
            local held, left = tonumber(redis.call('GET', key) or '') or 0, redis.call('PTTL', key)
            if left == -2 or generation > held then
                redis.call('SET', key, string.format('%.0f', generation), 'KEEPTTL')
            end
            if left == -2 or (left >= 0 and now + left < ends) then
                redis.call('PEXPIREAT', key, string.format('%.0f', ends))
            end
        end
    ";
    Script::new(&format!("{FUNCTIONS}{code}"))
}
