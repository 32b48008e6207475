//! A connection to the server that has our keys, and which life of that server it leads to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;

use super::error::{is_forbidden, told};
use super::home::Tenancy;
use super::wire::Wire;
use crate::store::StoreError;

pub(super) struct Connection {
    wire: Wire,
    /// Which life of the server this leads to; empty where its user may not know.
    server: Arc<str>,
    master: bool,
    since: Instant,
    tenancy: Option<Tenancy>,
}

impl Connection {
    /// Asks who is there.
    pub(super) async fn over(wire: Wire) -> Result<Self, StoreError> {
        let mut info = String::new();
        for section in ["server", "replication"] {
            match wire.ask::<String>(redis::cmd("INFO").arg(section)).await {
                Ok(text) => info += &text,
                // It lives, but its user may not ask.
                Err(e) if is_forbidden(&e) => {}
                Err(e) => return Err(told(&e)),
            }
        }
        let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        // A process keeps its id when it becomes a replica and a master again; a promotion gives the data another one.
        let server = match (line("run_id:"), line("master_replid:")) {
            (Some(process), Some(data)) => format!("{process}.{data}").into(),
            _ => "".into(),
        };
        let master = line("role:") == Some("master");
        Ok(Self { wire, server, master, since: Instant::now(), tenancy: None })
    }

    /// Over as soon as our keys are known to be elsewhere. A master that was deposed and reinstated before it heard of
    /// either is another one as well: what the one between them took, it lacks.
    pub(super) fn with(mut self, tenancy: Tenancy) -> Self {
        self.server = format!("{}.{}", self.server, tenancy.epoch()).into();
        self.tenancy = Some(tenancy);
        self
    }

    pub(super) fn commands(&self) -> MultiplexedConnection {
        self.wire.commands()
    }

    pub(super) const fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Where masters change, it must be known who this is: a failover would go unnoticed.
    pub(super) fn must_be_master(self) -> Result<Self, StoreError> {
        if self.server.is_empty() {
            return Err(StoreError::Misconfigured(
                "cannot tell which server this is, so that a failover would go unnoticed: permit its user `INFO` \
                 (ACL `+info`)"
                    .into(),
            ));
        }
        match self.master {
            true => Ok(self),
            false => Err(StoreError::Unreachable("what is called the master is a replica".into())),
        }
    }

    /// Whether the other side has closed it, or our keys are elsewhere.
    pub(super) fn is_over(&self) -> bool {
        self.wire.is_closed() || self.tenancy.as_ref().is_some_and(Tenancy::is_over)
    }

    /// Comes back once our keys are known to be elsewhere.
    pub(super) async fn moved(&self) {
        match &self.tenancy {
            Some(tenancy) => tenancy.ended().await,
            None => std::future::pending().await,
        }
    }
}
