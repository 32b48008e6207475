//! How Redis is reached.

use std::fmt;
use std::path::PathBuf;

use super::CertificateFiles;
use crate::model::Secret;

/// Redis: where it is, and how to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// Where.
    pub address: RedisAddress,
    /// Encrypted, to sentinels too; `None`: in the clear.
    pub tls: Option<RedisTls>,
    /// Database number.
    pub database: i64,
    /// ACL user.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret<String>>,
}

/// Where Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisAddress {
    /// One server: `redis://`, `rediss://`.
    Server(RedisNode),
    /// One server: `redis+unix://`.
    Unix(PathBuf),
    /// The server that sentinels call the master: `redis+sentinel://`, `rediss+sentinel://`.
    Sentinel(SentinelSettings),
    /// The node of a cluster that owns the slot of all keys: `redis+cluster://`, `rediss+cluster://`. These nodes are
    /// asked; others are found through them.
    Cluster(Vec<RedisNode>),
}

/// Host and port of a server, sentinel or node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisNode {
    /// Name or address; over TLS, the certificate must be for it.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for RedisNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Whom to ask for the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelSettings {
    /// All are asked at once.
    pub sentinels: Vec<RedisNode>,
    /// What they call it.
    pub master: String,
    /// ACL user of the sentinels, which have users of their own.
    pub username: Option<String>,
    /// Password of the sentinels.
    pub password: Option<Secret<String>>,
}

/// `rediss`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// What to present.
    pub certificate: Option<CertificateFiles>,
}
