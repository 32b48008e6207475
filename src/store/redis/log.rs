//! The revocation log in Redis.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Script, ScriptInvocation};

use super::connection::Connection;
use super::generations::raising;
use super::sessions::MAX;
use super::{Redis, follow};
use crate::model::{Entropy, LogEntry, Revocation, SystemEntropy, Timestamp};
use crate::store::log::{KEPT, Position};
use crate::store::{Followed, Replay, Reply, RevocationLog, StoreError};

/// The field of an entry that announces; a heartbeat has the other one.
pub(super) const ENTRY: &str = "entry";
const BEAT: &str = "beat";

/// KEYS: log, run, live set, and for an entry that ends all sessions of a principal: his generation. ARGV: a new run, how
/// long the log is kept (ms), field, value, and for what goes into the live set: what, until; then: generation, and until
/// when that is kept. Returns run and id. Whoever comes first after a loss of data begins a new run.
static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| {
    raising(
        r"
        redis.call('SET', KEYS[2], ARGV[1], 'NX')
        if KEYS[4] then raise(KEYS[4], tonumber(ARGV[7]), tonumber(ARGV[8])) end
        if ARGV[5] then
            redis.call('ZADD', KEYS[3], 'GT', ARGV[6], ARGV[5])
            -- A minute more than needed, for clocks that disagree.
            redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now - 60000))
        end
        local oldest = string.format('%.0f', now - ARGV[2])
        local id = redis.call('XADD', KEYS[1], 'MINID', '~', oldest, '*', ARGV[3], ARGV[4])
        return {redis.call('GET', KEYS[2]), id}",
    )
});

/// KEYS: log, run. ARGV: a new run, field, value. Returns run and last id; an empty log gets a heartbeat, because a
/// place is always that of an entry.
static PLACE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        redis.call('SET', KEYS[2], ARGV[1], 'NX')
        local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
        local id = last[1] and last[1][1] or redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[3])
        return {redis.call('GET', KEYS[2]), id}",
    )
});

impl RevocationLog for Redis {
    fn append<'a>(&'a self, entry: &'a LogEntry) -> Reply<'a, Position> {
        Box::pin(async move {
            let unwritable = |_| StoreError::Refused("a revocation cannot be written as JSON".into());
            let what = serde_json::to_string(&entry.what).map_err(unwritable)?;
            let json = serde_json::to_string(entry).map_err(unwritable)?;
            let until = if entry.until == Timestamp::NEVER { "+inf".to_owned() } else { entry.until.0.to_string() };
            let mut announce = self.announcement(&[ENTRY, &json, &what, &until]);
            if let Revocation::Sessions { principal, generation } = &entry.what {
                announce.key(self.keys.generation(principal));
                announce.arg((*generation).min(MAX)).arg(entry.until.0.min(MAX));
            }
            let (position, connection) = self.announce(&announce).await?;
            self.wait_for_replica(&connection).await?;
            Ok(position)
        })
    }

    fn replay(&self, now: Timestamp) -> Reply<'_, Replay> {
        Box::pin(async move {
            let mut place = PLACE.key(self.keys.log());
            place.key(self.keys.run()).arg(new_run()).arg(BEAT).arg(1);
            let ((run, id), connection): ((String, String), _) = self.link.call((&place).into()).await?;
            let position = self.position(&run, &id, &connection)?;
            let key = self.keys.revoked();
            let mut live = HashMap::new();
            for (what, until) in self.members(&key).await? {
                let what: Revocation =
                    serde_json::from_slice(&what).map_err(|e| StoreError::damaged_json(key.as_str(), &e))?;
                let until = timestamp(until);
                if until > now {
                    live.insert(what, until);
                }
            }
            Ok(Replay { position, entries: live.into_iter().map(|(what, until)| LogEntry { what, until }).collect() })
        })
    }

    fn follow<'a>(&'a self, after: &'a Position, wait: Duration) -> Reply<'a, Followed> {
        Box::pin(follow::follow(self, after, wait))
    }

    fn beat(&self) -> Reply<'_, Position> {
        Box::pin(async move { Ok(self.announce(&self.announcement(&[BEAT, "1"])).await?.0) })
    }
}

impl Redis {
    fn announcement(&self, what: &[&str]) -> ScriptInvocation<'static> {
        let mut announce = ANNOUNCE.key(self.keys.log());
        announce.key(self.keys.run()).key(self.keys.revoked());
        announce.arg(new_run()).arg(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX)).arg(what);
        announce
    }

    async fn announce(
        &self,
        announcement: &ScriptInvocation<'static>,
    ) -> Result<(Position, Arc<Connection>), StoreError> {
        let ((run, id), connection): ((String, String), _) = self.link.call(announcement.into()).await?;
        Ok((self.position(&run, &id, &connection)?, connection))
    }

    /// Where there are replicas, a failover must not undo a revocation: one of them has to have it.
    async fn wait_for_replica(&self, connection: &Arc<Connection>) -> Result<(), StoreError> {
        let replicas = match self.call::<String>(redis::cmd("INFO").arg("replication")).await {
            Ok(info) => info.lines().any(is_replica),
            // Not permitted to ask.
            Err(StoreError::Refused(_)) => false,
            Err(error) => return Err(error),
        };
        if !replicas {
            return Ok(());
        }
        let patience = u64::try_from(self.timeout.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        let (reached, used): (u32, _) = self.link.call(redis::cmd("WAIT").arg(1).arg(patience).into()).await?;
        // `WAIT` speaks of what was written over the same connection.
        if reached == 0 || !Arc::ptr_eq(&used, connection) {
            return Err(StoreError::Refused("revoked, but no replica of Redis has confirmed it in time".into()));
        }
        Ok(())
    }

    /// The run of the log and the life of the server: a server that came back with older data has the same log run.
    pub(super) fn run_of(run: &str, connection: &Connection) -> Arc<str> {
        format!("{run}.{}", connection.server()).into()
    }

    pub(super) fn position(&self, run: &str, id: &str, connection: &Connection) -> Result<Position, StoreError> {
        Ok(Position { run: Self::run_of(run, connection), id: self.id(id)? })
    }

    pub(super) fn id(&self, text: &str) -> Result<(u64, u64), StoreError> {
        let id = text.split_once('-').and_then(|(ms, sequence)| Some((ms.parse().ok()?, sequence.parse().ok()?)));
        id.ok_or_else(|| StoreError::damaged(self.keys.log(), "an entry's id is not two numbers"))
    }
}

/// `slave0:ip=…,port=…,state=online,…`. One that is still given all the data cannot confirm anything, nor be promoted.
fn is_replica(line: &str) -> bool {
    line.starts_with("slave") && line.split(',').any(|field| field == "state=online")
}

fn new_run() -> String {
    let mut random = [0; 16];
    SystemEntropy.fill(&mut random);
    random.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A score is a time in milliseconds, or infinite.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates: what is too large is never, what is negative has passed"
)]
fn timestamp(score: f64) -> Timestamp {
    if score.is_finite() { Timestamp(score as u64) } else { Timestamp::NEVER }
}
