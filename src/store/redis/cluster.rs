//! Cluster: who owns the slot of our keys now?
//!
//! All keys begin with the same hash tag, so that scripts and the log can use them together: they are in one slot, and
//! one node has them all. Any node can be asked who that is; the owner itself has the last word.

use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::{RedisError, Value};

use super::connection::Connection;
use super::dial::Dialer;
use super::error::told;
use super::keys::{hash_tag, slot};
use super::wire::Wire;
use crate::model::settings::RedisNode;
use crate::store::StoreError;

/// Nodes that others speak of; asked where none of the configured ones answers.
const LEARNED_AT_MOST: usize = 16;

/// From one node that says that another one is the owner to that one: gossip takes its time.
const HOPS: usize = 4;

pub(super) struct Cluster {
    seeds: Vec<RedisNode>,
    learned: Mutex<Vec<RedisNode>>,
    slot: u16,
}

/// What a node says.
struct View {
    /// Whether it is in touch with the greater part of the cluster.
    in_touch: bool,
    myself: String,
    owner: Option<(RedisNode, String)>,
    nodes: Vec<RedisNode>,
}

impl Cluster {
    pub(super) fn new(seeds: &[RedisNode], prefix: &str) -> Result<Self, StoreError> {
        let tag = hash_tag(prefix).ok_or_else(|| {
            StoreError::Misconfigured(format!("`{prefix}` has no hash tag: all keys must be in one slot"))
        })?;
        Ok(Self { seeds: seeds.to_owned(), learned: Mutex::default(), slot: slot(tag.as_bytes()) })
    }

    /// A connection to the owner.
    pub(super) async fn dial(&self, dialer: &Dialer) -> Result<Connection, StoreError> {
        let mut node = match self.ask(&self.seeds, dialer).await {
            Err(problem) => {
                let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner).clone();
                self.ask(&learned, dialer).await.map_err(|_| problem)?
            }
            node => node?,
        };
        for _ in 0..HOPS {
            let connection = dialer.meet(&node).await?;
            let view = dialer.reach().within(self.view(connection.wire(), &node)).await?;
            match view.owner {
                Some((_, id)) if id == view.myself => return connection.must_be_master(),
                Some((owner, _)) => node = owner,
                None => return Err(self.nobody()),
            }
        }
        Err(self.nobody())
    }

    /// The first who answers and is in touch with the others is believed; else the first who answers.
    async fn ask(&self, nodes: &[RedisNode], dialer: &Dialer) -> Result<RedisNode, StoreError> {
        let ask_one = |node| {
            dialer.reach().within(async move {
                let wire = dialer.reach().wire(node, dialer.login()).await?;
                self.view(&wire, node).await
            })
        };
        let mut asking: FuturesUnordered<_> = nodes.iter().map(ask_one).collect();
        let (mut second_best, mut problem) = (None, None);
        while let Some(view) = asking.next().await {
            match view {
                Ok(View { in_touch, owner: Some((owner, _)), mut nodes, .. }) => {
                    if !in_touch {
                        second_best.get_or_insert(owner);
                        continue;
                    }
                    nodes.truncate(LEARNED_AT_MOST);
                    *self.learned.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
                    return Ok(owner);
                }
                Ok(View { owner: None, .. }) => {}
                // That somebody refuses says more than that somebody is not there.
                Err(e) if problem.is_none() || !matches!(e, StoreError::Unreachable(_)) => problem = Some(e),
                Err(_) => {}
            }
        }
        second_best.ok_or_else(|| problem.unwrap_or_else(|| self.nobody()))
    }

    async fn view(&self, wire: &Wire, asked: &RedisNode) -> Result<View, StoreError> {
        let cluster = |what: &str| redis::cmd("CLUSTER").arg(what).take();
        let state = wire.ask::<String>(&cluster("INFO")).await.map_err(|e| self.told(&e, asked))?;
        let myself = wire.ask::<String>(&cluster("MYID")).await.map_err(|e| told(&e))?;
        // `CLUSTER SHARDS` has no more to say, and older servers lack it.
        let ranges = wire.ask::<Vec<Vec<Value>>>(&cluster("SLOTS")).await.map_err(|e| told(&e))?;
        let mut view = View { in_touch: state.contains("cluster_state:ok"), myself, owner: None, nodes: Vec::new() };
        for range in &ranges {
            let [Value::Int(first), Value::Int(last), nodes @ ..] = range.as_slice() else { continue };
            let nodes: Vec<_> = nodes.iter().filter_map(|node| node_of(node, asked)).collect();
            view.nodes.extend(nodes.iter().map(|(node, _)| node.clone()));
            if (*first..=*last).contains(&i64::from(self.slot)) {
                // The master comes first, then its replicas.
                view.owner = nodes.into_iter().next();
            }
        }
        view.nodes.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
        view.nodes.dedup();
        Ok(view)
    }

    fn told(&self, error: &RedisError, asked: &RedisNode) -> StoreError {
        match error.code() {
            // `ERR This instance has cluster support disabled`.
            Some("ERR") => StoreError::Misconfigured(format!(
                "`{asked}` is no node of a cluster, or too old: `store.url = \"redis://{asked}\"` for a single server"
            )),
            _ => told(error),
        }
    }

    fn nobody(&self) -> StoreError {
        StoreError::Unreachable(format!("no node of the cluster owns slot {} for now", self.slot))
    }
}

/// Host, port, id, as `CLUSTER SLOTS` has them. A host that is not told is the one that was asked.
fn node_of(value: &Value, asked: &RedisNode) -> Option<(RedisNode, String)> {
    let Value::Array(fields) = value else { return None };
    let [host, Value::Int(port), id, ..] = fields.as_slice() else { return None };
    let host = match redis::from_redis_value_ref::<Option<String>>(host).ok()? {
        None => asked.host.clone(),
        Some(host) if host.is_empty() => asked.host.clone(),
        // A name that this node has not heard yet.
        Some(host) if host == "?" => return None,
        Some(host) => host,
    };
    let id = redis::from_redis_value_ref(id).ok()?;
    Some((RedisNode { host, port: u16::try_from(*port).ok()? }, id))
}
