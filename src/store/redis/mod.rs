//! In Redis (6.2 or later): one server, the master that sentinels name, or one node of a cluster.
//!
//! All keys begin with the configured prefix (`pc:` below):
//!
//! | key | what |
//! |---|---|
//! | `pc:session:<hex SHA-256 of the secret>` | hash: `record` (JSON), `id`, `of` (the principal's index), `generation`, `seen`, `idle`, `ends` (ms); expires when the session ends |
//! | `pc:session-id:<public id>` | the hexadecimal SHA-256 that leads to the session |
//! | `pc:sessions`, `pc:sessions:of:<principal>` | sorted sets of public ids by absolute end |
//! | `pc:generation:<principal>` | the generation of his sessions (see `Sessions`); expires with what it was raised for |
//! | `pc:key:<public id>` | hash: `record` (JSON), `used`, `revoked` (ms) |
//! | `pc:keys` | sorted set of public ids by creation |
//! | `pc:revoked` | the live set: sorted set of revocations (JSON) by when they may be forgotten |
//! | `pc:used:<hexadecimal digest>` | that something was used (a DPoP proof, say); expires when it may be forgotten |
//! | `pc:log`, `pc:log:run` | the stream that announces them, kept for an hour, and its run |
//!
//! In a cluster `{pc:}` stands for `pc:`, so that all keys are in one slot.
//!
//! An ACL user needs `~pc:* +@read +@write +@scripting +@connection +info +time +wait`; where an application's sessions are
//! read, also `%R~sess:*` (their prefix). In a cluster it needs `~{pc:}*`, and `+cluster|info +cluster|myid
//! +cluster|slots` besides. A user of sentinels needs `+@connection +sentinel|master
//! +sentinel|get-master-addr-by-name +sentinel|sentinels`.
//!
//! What changes with use stands beside the JSON, never in it: a script could not write the JSON back unharmed.

mod api_keys;
mod cluster;
mod connection;
mod dial;
mod error;
mod follow;
mod foreign;
mod generations;
mod health;
mod home;
mod keys;
mod link;
mod log;
mod replays;
mod sentinel;
mod sessions;
mod tls;
mod watch;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, ScriptInvocation};

use self::connection::Connection;
use self::dial::Dialer;
use self::keys::Keys;
use self::link::Link;
use super::{Backend, Reply, Store, StoreError};
use crate::model::settings::{RedisAddress, RedisSettings};

/// A store in Redis. Nothing is connected before the first call.
///
/// # Errors
/// A CA or certificate file that cannot be read, a host that cannot be a certificate's name.
pub(super) fn open(settings: &RedisSettings, prefix: &str, timeout: Duration) -> Result<Store, StoreError> {
    let keys = match settings.address {
        RedisAddress::Cluster(_) => Keys::in_one_slot(prefix),
        _ => Keys::new(prefix),
    };
    let dialer = Arc::new(Dialer::new(settings, keys.prefix(), timeout)?);
    Ok(Arc::new(Redis::new(dialer, keys, timeout)).store())
}

/// One handle.
struct Redis {
    dialer: Arc<Dialer>,
    keys: Keys,
    timeout: Duration,
    link: Link,
    /// Connections that nobody is blocked on; following blocks, so it never shares one.
    followers: Mutex<Vec<Arc<Connection>>>,
}

impl Redis {
    fn new(dialer: Arc<Dialer>, keys: Keys, timeout: Duration) -> Self {
        let link = Link::new(Arc::clone(&dialer), timeout);
        Self { dialer, keys, timeout, link, followers: Mutex::new(Vec::new()) }
    }

    fn store(self: Arc<Self>) -> Store {
        Store {
            sessions: Arc::clone(&self) as _,
            api_keys: Arc::clone(&self) as _,
            log: Arc::clone(&self) as _,
            replays: Arc::clone(&self) as _,
            foreign: Arc::clone(&self) as _,
            backend: self,
        }
    }

    async fn call<'a, T: FromRedisValue>(&self, request: impl Into<Request<'a>>) -> Result<T, StoreError> {
        Ok(self.link.call(request.into()).await?.0)
    }

    /// All members of a sorted set, in no order. Members that stay there for the whole time are never missed.
    async fn members(&self, key: &str) -> Result<Vec<(Vec<u8>, f64)>, StoreError> {
        let mut members = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let scan = redis::cmd("ZSCAN").arg(key).arg(cursor).arg("COUNT").arg(MEMBERS_AT_ONCE).take();
            let (next, found): (u64, Vec<(Vec<u8>, f64)>) = self.call(&scan).await?;
            members.extend(found);
            if next == 0 {
                return Ok(members);
            }
            cursor = next;
        }
    }

    fn take_follower(&self) -> Option<Arc<Connection>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put_back_follower(&self, connection: Arc<Connection>) {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// What one call reads at most, so that long lists take several calls and none of them takes long.
const MEMBERS_AT_ONCE: usize = 256;

impl Backend for Redis {
    fn ping(&self) -> Reply<'_, ()> {
        Box::pin(health::ping(self))
    }

    fn handle(&self) -> Store {
        Arc::new(Self::new(Arc::clone(&self.dialer), self.keys.clone(), self.timeout)).store()
    }
}

/// Something to ask.
#[derive(Clone, Copy)]
enum Request<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
    Script(&'a ScriptInvocation<'static>),
}

impl<'a> From<&'a Cmd> for Request<'a> {
    fn from(command: &'a Cmd) -> Self {
        Self::Command(command)
    }
}

// Builders of commands and scripts return what they were called on.
impl<'a> From<&'a mut Cmd> for Request<'a> {
    fn from(command: &'a mut Cmd) -> Self {
        Self::Command(command)
    }
}

impl<'a> From<&'a Pipeline> for Request<'a> {
    fn from(pipeline: &'a Pipeline) -> Self {
        Self::Pipeline(pipeline)
    }
}

impl<'a> From<&'a ScriptInvocation<'static>> for Request<'a> {
    fn from(script: &'a ScriptInvocation<'static>) -> Self {
        Self::Script(script)
    }
}

impl<'a> From<&'a mut ScriptInvocation<'static>> for Request<'a> {
    fn from(script: &'a mut ScriptInvocation<'static>) -> Self {
        Self::Script(script)
    }
}
