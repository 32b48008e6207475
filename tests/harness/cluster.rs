//! A cluster of three masters; the one that has our keys has a replica.

use std::time::Duration;

use portcullis::model::Secret;
use portcullis::model::settings::{RedisAddress, RedisNode, RedisSettings};
use portcullis::store::Store;

use super::redis::{Redis, RedisOptions, free_port, open, until};

/// It ends when this is dropped.
pub struct Cluster {
    pub nodes: Vec<Redis>,
}

const SLOTS: usize = 16384;

impl Cluster {
    pub fn start() -> Self {
        Self::start_with(Redis::with(), 1)
    }

    /// Nodes like this one, and so many replicas of the owner of `{pc:}`.
    pub fn start_with(options: RedisOptions, replicas: usize) -> Self {
        let mut ports = Vec::new();
        let mut nodes = Vec::new();
        for _ in 0..3 + replicas {
            let bus = free_port();
            let node = options
                .clone()
                .line("cluster-enabled yes")
                .line("cluster-config-file nodes.conf")
                .line("cluster-node-timeout 1000")
                .line("cluster-replica-validity-factor 0")
                .line("repl-diskless-sync-delay 0")
                .line(&format!("cluster-port {bus}"));
            nodes.push(node.start());
            ports.push(bus);
        }
        for (n, node) in nodes.iter().take(3).enumerate() {
            let (first, last) = (n * SLOTS / 3, (n + 1) * SLOTS / 3 - 1);
            node.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            node.command::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]);
        }
        let cluster = Self { nodes };
        for (node, bus) in cluster.nodes.iter().zip(&ports).skip(1) {
            let (port, bus) = (node.port().to_string(), bus.to_string());
            cluster.nodes[0].command::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let all = format!("cluster_known_nodes:{}", cluster.nodes.len());
        for node in &cluster.nodes {
            until("the nodes know each other", || node.command::<String>(&["CLUSTER", "INFO"]).contains(&all));
        }
        let owner = id(cluster.owner());
        for replica in cluster.nodes.iter().skip(3) {
            until("it may be a replica", || replica.try_command::<()>(&["CLUSTER", "REPLICATE", &owner]).is_ok());
            let synced = || replica.command::<String>(&["INFO", "replication"]).contains("master_link_status:up");
            until("the replica has the data", synced);
        }
        for node in &cluster.nodes {
            until("it works", || node.command::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        }
        cluster
    }

    /// `redis+cluster://…`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|one| format!("127.0.0.1:{}", one.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// How a store reaches it, as the default user.
    pub fn settings(&self) -> RedisSettings {
        let node = |one: &Redis| RedisNode { host: "127.0.0.1".into(), port: one.port() };
        let password = self.nodes[0].given_password().map(Secret::new);
        let address = RedisAddress::Cluster(self.nodes.iter().map(node).collect());
        RedisSettings { address, tls: None, database: 0, username: None, password }
    }

    /// A store in it that is patient with a busy machine.
    pub fn store(&self) -> Store {
        self.store_with("pc:")
    }

    pub fn store_with(&self, prefix: &str) -> Store {
        open(self.settings(), prefix, Duration::from_secs(20))
    }

    /// The node that has the keys with the prefix `pc:`, as most of those that run believe.
    pub fn owner(&self) -> &Redis {
        &self.nodes[self.owner_index()]
    }

    pub fn owner_index(&self) -> usize {
        let owners: Vec<_> = self.nodes.iter().filter(|one| one.is_running()).filter_map(owner_by).collect();
        let best = owners.iter().max_by_key(|port| owners.iter().filter(|other| other == port).count());
        let port = best.expect("somebody owns it");
        self.nodes.iter().position(|one| one.port() == *port).expect("one of the nodes")
    }

    /// Has a replica of the owner take over while the owner lives; returns once it has.
    pub fn fail_over_to(&self, replica: &Redis) {
        let (owner, myself) = (self.owner(), id(replica));
        let of = id(owner);
        let info = || replica.command::<String>(&["INFO", "replication"]);
        until("it can take over", || {
            let known: Vec<String> = owner.command(&["CLUSTER", "REPLICAS", &of]);
            info().contains("link_status:up") && known.iter().any(|line| line.starts_with(&myself))
        });
        replica.command::<()>(&["CLUSTER", "FAILOVER"]);
        until("it has taken over", || info().contains("role:master"));
    }

    /// Ends its process at once; its replica takes over, in two or three seconds.
    pub fn kill_owner(&mut self) {
        let index = self.owner_index();
        self.nodes[index].kill();
    }
}

/// The id of a node.
pub fn id(node: &Redis) -> String {
    node.command(&["CLUSTER", "MYID"])
}

/// The slot of keys with the prefix `pc:`, as Redis counts.
pub fn slot(node: &Redis) -> i64 {
    node.command(&["CLUSTER", "KEYSLOT", "{pc:}"])
}

fn owner_by(node: &Redis) -> Option<u16> {
    type Range = (i64, i64, (String, u16, String, redis::Value));
    let slot = slot(node);
    let ranges: Vec<Vec<redis::Value>> = node.command(&["CLUSTER", "SLOTS"]);
    ranges.into_iter().find_map(|mut range| {
        range.truncate(3);
        let (first, last, (_, port, _, _)): Range = redis::from_redis_value(redis::Value::Array(range)).ok()?;
        (first..=last).contains(&slot).then_some(port)
    })
}
