//! A master, replicas of it, and sentinels that watch over them.

use std::time::Duration;

use portcullis::model::Secret;
use portcullis::model::settings::{RedisAddress, RedisNode, RedisSettings, RedisTls, SentinelSettings};
use portcullis::store::Store;

use super::redis::{Redis, RedisOptions, open, until};

/// What the sentinels call the master.
pub const MASTER: &str = "pc-master";

/// They end when this is dropped.
pub struct Sentinels {
    pub servers: Vec<Redis>,
    pub sentinels: Vec<Redis>,
    options: SentinelOptions,
}

/// How they are to be.
#[derive(Clone)]
pub struct SentinelOptions {
    replicas: usize,
    sentinels: usize,
    server: RedisOptions,
    first: Vec<String>,
    sentinel: RedisOptions,
    auth: Vec<String>,
}

impl SentinelOptions {
    pub fn replicas(mut self, number: usize) -> Self {
        self.replicas = number;
        self
    }

    pub fn sentinels(mut self, number: usize) -> Self {
        self.sentinels = number;
        self
    }

    /// How each server is.
    pub fn server(mut self, change: impl FnOnce(RedisOptions) -> RedisOptions) -> Self {
        self.server = change(self.server);
        self
    }

    /// A line of `redis.conf` of the first master only.
    pub fn first_master(mut self, line: &str) -> Self {
        self.first.push(line.to_owned());
        self
    }

    /// How each sentinel is.
    pub fn sentinel(mut self, change: impl FnOnce(RedisOptions) -> RedisOptions) -> Self {
        self.sentinel = change(self.sentinel);
        self
    }

    /// A line `sentinel WORD MASTER REST` of each sentinel.
    pub fn monitor_line(mut self, word: &str, rest: &str) -> Self {
        self.auth.push(format!("sentinel {word} {MASTER} {rest}"));
        self
    }

    /// Starts all and waits until all know each other.
    pub fn start(self) -> Sentinels {
        let mut all = self.prepare();
        all.start_sentinels();
        all
    }

    /// Without the sentinels: their addresses are known, and nobody listens there.
    pub fn prepare(self) -> Sentinels {
        let server = self.server.clone().line("repl-diskless-sync-delay 0");
        let master = self.first.iter().fold(server.clone(), |with, line| with.line(line)).start();
        let of = format!("replicaof 127.0.0.1 {}", master.port());
        let replicas: Vec<_> = (0..self.replicas).map(|_| server.clone().line(&of).start()).collect();
        for replica in &replicas {
            let synced = || replica.command::<String>(&["INFO", "replication"]).contains("master_link_status:up");
            until("the replica has the data", synced);
        }
        let mut sentinel = self
            .sentinel
            .clone()
            .sentinel()
            .line(&format!("sentinel monitor {MASTER} 127.0.0.1 {} {}", master.port(), self.sentinels / 2 + 1))
            .line(&format!("sentinel down-after-milliseconds {MASTER} 500"))
            .line(&format!("sentinel failover-timeout {MASTER} 2000"))
            .line(&format!("sentinel parallel-syncs {MASTER} 2"));
        for line in &self.auth {
            sentinel = sentinel.line(line);
        }
        let sentinels = (0..self.sentinels).map(|_| sentinel.clone().prepare()).collect();
        let servers = std::iter::once(master).chain(replicas).collect();
        Sentinels { servers, sentinels, options: self }
    }
}

impl Sentinels {
    /// One master, two replicas, three sentinels; two of them decide.
    pub fn start() -> Self {
        Self::with().start()
    }

    /// With options.
    pub fn with() -> SentinelOptions {
        let (server, sentinel) = (Redis::with(), Redis::with());
        SentinelOptions { replicas: 2, sentinels: 3, server, first: Vec::new(), sentinel, auth: Vec::new() }
    }

    /// `redis+sentinel://…`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port())).collect();
        format!("redis+sentinel://{}/{MASTER}", hosts.join(","))
    }

    /// How a store reaches it, as the default user and without TLS.
    pub fn settings(&self) -> RedisSettings {
        let node = |one: &Redis| RedisNode { host: "127.0.0.1".into(), port: one.port() };
        let sentinels = self.sentinels.iter().map(node).collect();
        let address = SentinelSettings { sentinels, master: MASTER.into(), username: None, password: None };
        let password = self.servers[0].given_password().map(Secret::new);
        RedisSettings { address: RedisAddress::Sentinel(address), tls: None, database: 0, username: None, password }
    }

    /// The same over TLS, with what the servers trust.
    pub fn tls_settings(&self, tls: RedisTls) -> RedisSettings {
        RedisSettings { tls: Some(tls), ..self.settings() }
    }

    /// A store in it that is patient with a busy machine.
    pub fn store(&self) -> Store {
        open(self.settings(), "pc:", Duration::from_secs(20))
    }

    /// What the greater part of the sentinels calls the master.
    pub fn master(&self) -> &Redis {
        &self.servers[self.index()]
    }

    /// Ends its process at once. The sentinels notice and promote a replica, in two or three seconds.
    pub fn kill_master(&mut self) {
        let index = self.index();
        self.servers[index].kill();
    }

    /// Has a replica promoted while the master lives; returns once the sentinels say so.
    pub fn failover(&self) {
        let before = self.index();
        // Replicas that a sentinel has not heard of for a while are no candidates yet.
        until("a replica can be promoted", || {
            let asked = self.sentinels[0].try_command::<String>(&["SENTINEL", "FAILOVER", MASTER]);
            asked.is_ok()
        });
        until("another master is named", || self.index() != before);
        until("it is one", || self.master().command::<String>(&["INFO", "replication"]).contains("role:master"));
    }

    /// Has a replica promoted that knows nothing of what is done meanwhile, though the master acknowledges it.
    pub fn fail_over_without(&mut self, meanwhile: impl FnOnce()) {
        let index = self.index();
        let others = || self.servers.iter().enumerate().filter(|(number, _)| *number != index).map(|(_, one)| one);
        others().for_each(Redis::freeze);
        let master = &self.servers[index];
        master.command::<()>(&["CLIENT", "KILL", "TYPE", "replica"]);
        until("it is alone", || master.command::<String>(&["INFO", "replication"]).contains("connected_slaves:0"));
        meanwhile();
        self.kill_master();
        let others = self.servers.iter().enumerate().filter(|(number, _)| *number != index).map(|(_, one)| one);
        others.for_each(Redis::thaw);
        until("another master is named", || self.index() != index);
    }

    /// Waits until all other servers are its replicas.
    pub fn settle(&self) {
        let master = self.index();
        for (_, server) in self.servers.iter().enumerate().filter(|(n, one)| *n != master && one.is_running()) {
            let synced = || server.command::<String>(&["INFO", "replication"]).contains("master_link_status:up");
            until("it is a replica", synced);
        }
    }

    /// Starts them, or those of them that do not run, and waits until they know each other.
    pub fn start_sentinels(&mut self) {
        for sentinel in &mut self.sentinels {
            sentinel.restart();
            // What takes seconds by default: hearing of each other, and of what becomes of servers.
            for (what, ms) in
                [("info-period", "500"), ("publish-period", "200"), ("ask-period", "200"), ("ping-period", "200")]
            {
                sentinel.command::<()>(&["SENTINEL", "DEBUG", what, ms]);
            }
        }
        let (others, replicas) = (self.sentinels.len() - 1, self.options.replicas);
        for sentinel in &self.sentinels {
            until("the sentinels know each other", || {
                let state: std::collections::HashMap<String, String> =
                    sentinel.command(&["SENTINEL", "MASTER", MASTER]);
                state["num-other-sentinels"] == others.to_string() && state["num-slaves"] == replicas.to_string()
            });
        }
    }

    fn index(&self) -> usize {
        let ports: Vec<_> = self.sentinels.iter().filter(|one| one.is_running()).map(named_by).collect();
        let best = ports.iter().max_by_key(|port| ports.iter().filter(|other| other == port).count());
        let port = best.expect("a sentinel runs");
        self.servers.iter().position(|one| one.port() == *port).expect("one of the servers")
    }
}

fn named_by(sentinel: &Redis) -> u16 {
    let (_, port): (String, u16) = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]);
    port
}
