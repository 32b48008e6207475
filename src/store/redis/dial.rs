//! Making a connection to wherever our keys are now.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::cluster::Cluster;
use super::connection::Connection;
use super::sentinel::Sentinels;
use super::tls;
use super::watch;
use super::wire::{Login, Wire};
use crate::model::settings::{RedisAddress, RedisNode, RedisSettings};
use crate::store::StoreError;

/// A connection gets at least this long, however short calls are: it is made in the background.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Everything a connection needs.
pub(super) struct Dialer {
    place: Place,
    reach: Reach,
    login: Login,
}

/// Where to look.
enum Place {
    Server(RedisNode),
    Unix(PathBuf),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

/// How servers are reached.
pub(super) struct Reach {
    tls: Option<TlsConnector>,
    /// How long one of them may take.
    limit: Duration,
}

impl Reach {
    /// Within the limit.
    pub(super) async fn wire(&self, node: &RedisNode, login: &Login) -> Result<Wire, StoreError> {
        self.within(Wire::to(node, self.tls.as_ref(), login)).await
    }

    pub(super) async fn within<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        timeout(self.limit, work).await.unwrap_or(Err(StoreError::Timeout(self.limit)))
    }
}

impl Dialer {
    /// `prefix` is what all keys begin with; in a cluster, a hash tag.
    pub(super) fn new(settings: &RedisSettings, prefix: &str, call_timeout: Duration) -> Result<Self, StoreError> {
        let named: &[RedisNode] = match &settings.address {
            RedisAddress::Server(node) => std::slice::from_ref(node),
            RedisAddress::Sentinel(settings) => &settings.sentinels,
            RedisAddress::Cluster(seeds) => seeds,
            RedisAddress::Unix(_) => &[],
        };
        if settings.tls.is_some() {
            named.iter().try_for_each(|node| tls::name(&node.host).map(drop))?;
        }
        let place = match &settings.address {
            RedisAddress::Server(node) => Place::Server(node.clone()),
            RedisAddress::Unix(path) => Place::Unix(path.clone()),
            RedisAddress::Sentinel(settings) => Place::Sentinels(Sentinels::new(settings)),
            RedisAddress::Cluster(seeds) => Place::Cluster(Cluster::new(seeds, prefix)?),
        };
        let login = Login {
            database: settings.database,
            username: settings.username.clone(),
            password: settings.password.clone(),
        };
        let tls = settings.tls.as_ref().map(tls::connector).transpose()?;
        Ok(Self { place, reach: Reach { tls, limit: call_timeout.max(AT_LEAST) }, login })
    }

    /// A connection that has answered. Each step is bounded: asking where, and each server tried.
    pub(super) async fn dial(&self) -> Result<Arc<Connection>, StoreError> {
        let connection = match &self.place {
            Place::Unix(path) => {
                let connect = async { Connection::over(Wire::to_socket(path, &self.login).await?).await };
                self.reach.within(connect).await
            }
            Place::Server(node) => self.meet(node).await,
            Place::Sentinels(sentinels) => sentinels.dial(self).await,
            Place::Cluster(cluster) => cluster.dial(self).await,
        };
        connection.map(Arc::new)
    }

    /// A connection to this very server.
    pub(super) async fn meet(&self, node: &RedisNode) -> Result<Connection, StoreError> {
        let connect = async {
            let wire = Wire::to(node, self.reach.tls.as_ref(), &self.login).await?;
            Connection::over(wire).await
        };
        self.reach.within(connect).await
    }

    pub(super) const fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(super) const fn login(&self) -> &Login {
        &self.login
    }

    pub(super) const fn sentinels(&self) -> Option<&Sentinels> {
        match &self.place {
            Place::Sentinels(sentinels) => Some(sentinels),
            _ => None,
        }
    }

    /// Sees to it that somebody notices a failover while the old master still answers.
    pub(super) fn keep_watch(self: &Arc<Self>) {
        if let Place::Sentinels(sentinels) = &self.place {
            watch::begin(self, sentinels);
        }
    }
}
