//! Looks up the names of endpoints again and again: once for the whole process, however many workers use what is found.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use tokio::sync::watch;

use crate::model::settings::Endpoint;

/// Most addresses of a name; of more, the first by their order count.
const MOST: usize = 64;

/// Knows the addresses of names.
pub trait Resolver: Send + Sync {
    /// Those of `host`, each with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a>;
}

/// A lookup that is under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + 'a>>;

/// That of the system (`getaddrinfo`). It does not tell for how long its answers hold.
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// What is known of the addresses of an endpoint's name, for all workers.
#[derive(Debug, Default)]
pub(super) struct Known {
    addresses: watch::Sender<Arc<[SocketAddr]>>,
    succeeded: AtomicU64,
    failed: AtomicU64,
    /// Whether the last lookup found nothing.
    failing: AtomicBool,
    /// Whether the last one found too many.
    excess: AtomicBool,
}

impl Known {
    /// Looks once. Where nothing is found, what was found before goes on to count.
    pub(super) async fn refresh(&self, resolver: &dyn Resolver, upstream: &str, endpoint: &Endpoint) {
        let found = match resolver.resolve(&endpoint.host, endpoint.port).await {
            Ok(found) if found.is_empty() => Err("it has no address".to_owned()),
            Ok(found) => Ok(found),
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok(found) => self.found(found, upstream, endpoint),
            Err(why) => {
                self.failed.fetch_add(1, Relaxed);
                if !self.failing.swap(true, Relaxed) {
                    let kept = self.addresses.borrow().len();
                    tracing::warn!(upstream, %endpoint, why, kept, "the name of an endpoint is not found");
                }
            }
        }
    }

    fn found(&self, mut found: Vec<SocketAddr>, upstream: &str, endpoint: &Endpoint) {
        self.succeeded.fetch_add(1, Relaxed);
        if self.failing.swap(false, Relaxed) {
            tracing::info!(upstream, %endpoint, "the name of an endpoint is found again");
        }
        found.sort_unstable();
        found.dedup();
        let count = found.len();
        if count <= MOST {
            self.excess.store(false, Relaxed);
        } else if !self.excess.swap(true, Relaxed) {
            tracing::warn!(upstream, %endpoint, addresses = count, used = MOST, "the name of an endpoint has too many addresses");
        }
        found.truncate(MOST);
        let changed = self.addresses.send_if_modified(|known| {
            let changes = **known != *found;
            if changes {
                *known = found.into();
            }
            changes
        });
        if changed {
            tracing::info!(upstream, %endpoint, addresses = count, "the name of an endpoint has other addresses");
        }
    }

    /// The addresses, now and whenever there are others; none until they are found.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<[SocketAddr]>> {
        self.addresses.subscribe()
    }

    /// Addresses, and lookups that succeeded and failed.
    pub(super) fn counts(&self) -> (usize, u64, u64) {
        (self.addresses.borrow().len(), self.succeeded.load(Relaxed), self.failed.load(Relaxed))
    }
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
