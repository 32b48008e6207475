//! Sentinel: where is the master now?
//!
//! All sentinels are asked at once. As soon as more than half have answered, or there is no more to wait for, the answer
//! of the latest failover counts: a sentinel that is cut off, perhaps together with the old master, knows an older one.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::connection::Connection;
use super::dial::{Dialer, Reach};
use super::error::told;
use super::home::{Home, Homes};
use super::wire::{Login, Wire};
use crate::model::settings::{RedisNode, SentinelSettings};
use crate::store::StoreError;

/// Sentinels that others speak of; asked where none of the configured ones answers.
const LEARNED_AT_MOST: usize = 16;

pub(super) struct Sentinels {
    configured: Vec<RedisNode>,
    learned: Mutex<Vec<RedisNode>>,
    master: String,
    login: Login,
    pub(super) homes: Homes,
    /// Whether somebody watches for a failover.
    pub(super) watched: Arc<AtomicBool>,
}

/// What the sentinels say.
pub(super) struct Verdict {
    /// Of the latest failover.
    epoch: u64,
    /// What they call the master; several only in the middle of a failover.
    masters: Vec<RedisNode>,
    /// Whether more than half have answered.
    majority: bool,
}

impl Sentinels {
    pub(super) fn new(settings: &SentinelSettings) -> Self {
        let login = Login { database: 0, username: settings.username.clone(), password: settings.password.clone() };
        Self {
            configured: settings.sentinels.clone(),
            learned: Mutex::default(),
            master: settings.master.clone(),
            login,
            homes: Homes::new(),
            watched: Arc::default(),
        }
    }

    /// A connection to the master.
    pub(super) async fn dial(&self, dialer: &Dialer) -> Result<Connection, StoreError> {
        let reach = dialer.reach();
        let verdict = match self.ask(&mut self.desks(), reach).await {
            Err(problem) => {
                let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner).clone();
                self.ask(&mut Desk::all(&learned), reach).await.map_err(|_| problem)?
            }
            verdict => verdict?,
        };
        let mut problem = None;
        for node in verdict.masters {
            // A master that was deposed still thinks that it is one until it hears of it; a replica never does.
            match dialer.meet(&node).await.and_then(Connection::must_be_master) {
                Ok(connection) => return Ok(connection.with(self.homes.are(Home { node, epoch: verdict.epoch }))),
                Err(e) => problem = Some(e),
            }
        }
        Err(problem.unwrap_or_else(nobody))
    }

    /// Moves everybody if the master is another one than the one that is used.
    pub(super) async fn look(&self, desks: &mut [Desk], reach: &Reach) {
        let (Some(home), Ok(verdict)) = (self.homes.current(), self.ask(desks, reach).await) else { return };
        let same = verdict.epoch == home.epoch && verdict.masters.contains(&home.node);
        // A minority can only know better, never worse: it may be the part that was cut off.
        if !same
            && (verdict.majority || verdict.epoch > home.epoch)
            && let Some(node) = verdict.masters.into_iter().next()
        {
            tracing::info!(%node, "the sentinels name another master");
            self.homes.are(Home { node, epoch: verdict.epoch });
        }
    }

    /// One for each sentinel.
    pub(super) fn desks(&self) -> Vec<Desk> {
        Desk::all(&self.configured)
    }

    async fn ask(&self, desks: &mut [Desk], reach: &Reach) -> Result<Verdict, StoreError> {
        let all = desks.len();
        let mut answers = Vec::with_capacity(all);
        let mut problem = None;
        let mut asking: FuturesUnordered<_> =
            desks.iter_mut().map(|desk| reach.within(self.ask_one(desk, reach))).collect();
        while answers.len() * 2 <= all
            && let Some(answer) = asking.next().await
        {
            match answer {
                Ok(answer) => answers.push(answer),
                // That somebody refuses says more than that somebody is not there.
                Err(e) if problem.is_none() || !matches!(e, StoreError::Unreachable(_)) => problem = Some(e),
                Err(_) => {}
            }
        }
        let Some(epoch) = answers.iter().map(|answer| answer.epoch).max() else {
            return Err(problem.unwrap_or_else(nobody));
        };
        let mut verdict = Verdict { epoch, masters: Vec::new(), majority: answers.len() * 2 > all };
        let mut learned = Vec::new();
        for answer in answers {
            if answer.epoch == epoch && !verdict.masters.contains(&answer.master) {
                verdict.masters.push(answer.master);
            }
            learned.extend(answer.others);
        }
        learned.truncate(LEARNED_AT_MOST);
        if !learned.is_empty() {
            *self.learned.lock().unwrap_or_else(PoisonError::into_inner) = learned;
        }
        Ok(verdict)
    }

    async fn ask_one(&self, desk: &mut Desk, reach: &Reach) -> Result<Answer, StoreError> {
        // Whoever is given up on while he is asked is asked over a new connection the next time.
        let (wire, fresh) = match desk.wire.take().filter(|wire| !wire.is_closed()) {
            Some(wire) => (wire, false),
            None => (reach.wire(&desk.node, &self.login).await?, true),
        };
        let sentinel = |what: &str| redis::cmd("SENTINEL").arg(what).arg(&self.master).take();
        // Before the address: a failover in between must not make an old address look new. Users may be forbidden it.
        let state = wire.ask::<HashMap<String, String>>(&sentinel("MASTER")).await.unwrap_or_default();
        let epoch = state.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        let master = wire.ask::<Option<(String, u16)>>(&sentinel("GET-MASTER-ADDR-BY-NAME")).await;
        let Some((host, port)) = master.map_err(|e| told(&e))? else {
            return Err(StoreError::Misconfigured(format!(
                "sentinel `{}` knows no master called `{}`: the last part of `store.url` is the name in its \
                 `sentinel monitor`",
                desk.node, self.master
            )));
        };
        let others = match fresh {
            true => wire.ask::<Vec<HashMap<String, String>>>(&sentinel("SENTINELS")).await.unwrap_or_default(),
            false => Vec::new(),
        };
        desk.wire = Some(wire);
        let node = |other: &HashMap<String, String>| {
            Some(RedisNode { host: other.get("ip")?.clone(), port: other.get("port")?.parse().ok()? })
        };
        Ok(Answer { epoch, master: RedisNode { host, port }, others: others.iter().filter_map(node).collect() })
    }
}

/// A sentinel, and the connection to it once there is one.
pub(super) struct Desk {
    node: RedisNode,
    wire: Option<Wire>,
}

impl Desk {
    fn all(nodes: &[RedisNode]) -> Vec<Self> {
        nodes.iter().map(|node| Self { node: node.clone(), wire: None }).collect()
    }
}

struct Answer {
    epoch: u64,
    master: RedisNode,
    others: Vec<RedisNode>,
}

fn nobody() -> StoreError {
    StoreError::Unreachable("no sentinel knows the master".into())
}
