//! Following the log: a read that blocks, on a connection that nobody else uses.

use std::time::Duration;

use redis::{FromRedisValue, Pipeline, Value};
use tokio::time::timeout;

use super::Redis;
use super::connection::Connection;
use super::error::told;
use super::log::ENTRY;
use crate::model::LogEntry;
use crate::store::{Followed, Position, StoreError};

/// What one answer holds at most; the rest comes with the next.
const ENTRIES_AT_ONCE: usize = 1000;

/// Waits at most `wait` for what comes after `after`.
pub(super) async fn follow(redis: &Redis, after: &Position, wait: Duration) -> Result<Followed, StoreError> {
    loop {
        let kept = redis.take_follower();
        let fresh = kept.is_none();
        let connection = match kept {
            Some(connection) if connection.is_over() => continue,
            Some(connection) => connection,
            None => redis.dialer.dial().await?,
        };
        redis.dialer.keep_watch();
        // A caller who leaves takes the connection along, for the server would still be blocked on it.
        let limit = wait.saturating_add(redis.timeout);
        let reading = timeout(limit, read(redis, &connection, after, wait));
        let read = tokio::select! {
            read = reading => read,
            // The log goes on elsewhere, as another run.
            () = connection.moved() => return Ok(Followed::Gap),
        };
        match read {
            Err(_) => return Err(StoreError::Timeout(limit)),
            Ok(Ok(followed @ Followed::Entries { .. })) => {
                redis.put_back_follower(connection);
                return Ok(followed);
            }
            // Closed while nobody used it, or the server is not any more what it was: a new one tells.
            Ok(_) if !fresh => {}
            Ok(Ok(Followed::Gap)) => {
                // What is read again must be read from this server, not over a connection to what was before it.
                redis.link.doubt(connection.server());
                redis.put_back_follower(connection);
                return Ok(Followed::Gap);
            }
            Ok(Err(error)) => return Err(error),
        }
    }
}

async fn read(
    redis: &Redis,
    connection: &Connection,
    after: &Position,
    wait: Duration,
) -> Result<Followed, StoreError> {
    // Before: where the place is gone there is nothing to wait for. Afterwards: what was read must follow on it.
    let mut look = redis::pipe();
    Extent::ask(redis, &mut look);
    let (run, first, last) = query(&look, connection).await?;
    let whole =
        Extent::read(redis, run, &first, &last)?.is_some_and(|extent| extent.reaches_back_to(after, connection));
    if !whole {
        return Ok(Followed::Gap);
    }
    let mut block = redis::pipe();
    block.cmd("XREAD").arg("COUNT").arg(ENTRIES_AT_ONCE);
    if !wait.is_zero() {
        // Zero would mean for ever.
        block.arg("BLOCK").arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
    }
    block.arg("STREAMS").arg(redis.keys.log()).arg(format!("{}-{}", after.id.0, after.id.1));
    Extent::ask(redis, &mut block);
    let (streams, run, first, last): (Vec<(Value, Entries)>, _, _, _) = query(&block, connection).await?;
    let whole =
        Extent::read(redis, run, &first, &last)?.is_some_and(|extent| extent.reaches_back_to(after, connection));
    if !whole {
        return Ok(Followed::Gap);
    }
    let mut position = after.clone();
    let mut entries = Vec::new();
    for (id, fields) in streams.into_iter().flat_map(|(_, entries)| entries) {
        position.id = redis.id(&id)?;
        for (_, json) in fields.into_iter().filter(|(name, _)| name == ENTRY.as_bytes()) {
            let key = || format!("{} {id}", redis.keys.log());
            let entry: LogEntry = serde_json::from_slice(&json).map_err(|e| StoreError::damaged_json(key(), &e))?;
            entries.push(entry);
        }
    }
    Ok(Followed::Entries { position, entries })
}

/// Ids, and names and values of fields.
type Entries = Vec<(String, Vec<(Vec<u8>, Vec<u8>)>)>;

/// From where to where the log goes.
struct Extent {
    run: String,
    first: (u64, u64),
    last: (u64, u64),
}

impl Extent {
    fn ask(redis: &Redis, pipeline: &mut Pipeline) {
        let log = redis.keys.log();
        pipeline.cmd("GET").arg(redis.keys.run());
        pipeline.cmd("XRANGE").arg(&log).arg("-").arg("+").arg("COUNT").arg(1);
        pipeline.cmd("XREVRANGE").arg(&log).arg("+").arg("-").arg("COUNT").arg(1);
    }

    /// `None` where there is no log.
    fn read(redis: &Redis, run: Option<String>, first: &Entries, last: &Entries) -> Result<Option<Self>, StoreError> {
        let (Some(run), Some((first, _)), Some((last, _))) = (run, first.first(), last.first()) else {
            return Ok(None);
        };
        Ok(Some(Self { run, first: redis.id(first)?, last: redis.id(last)? }))
    }

    /// Whether everything after `position` is there: its own entry still is.
    fn reaches_back_to(&self, position: &Position, connection: &Connection) -> bool {
        Redis::run_of(&self.run, connection) == position.run && self.first <= position.id && position.id <= self.last
    }
}

async fn query<T: FromRedisValue>(pipeline: &Pipeline, connection: &Connection) -> Result<T, StoreError> {
    pipeline.query_async(&mut connection.commands()).await.map_err(|e| told(&e))
}
