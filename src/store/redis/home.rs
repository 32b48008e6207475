//! Which server is known to have our keys, told to every connection that leads there.

use tokio::sync::watch;

use crate::model::settings::RedisNode;

/// A server, and the failover that made it the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) node: RedisNode,
    /// Grows with each failover.
    pub(super) epoch: u64,
}

/// Where our keys are, as far as anybody of this process knows.
pub(super) struct Homes(watch::Sender<Option<Home>>);

impl Homes {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub(super) fn current(&self) -> Option<Home> {
        self.0.borrow().clone()
    }

    /// Ends every connection that leads elsewhere.
    pub(super) fn are(&self, home: Home) -> Tenancy {
        self.0.send_if_modified(|current| {
            let moved = current.as_ref() != Some(&home);
            if moved {
                *current = Some(home.clone());
            }
            moved
        });
        Tenancy { home, current: self.0.subscribe() }
    }
}

/// What a connection knows of its server's being the right one.
pub(super) struct Tenancy {
    home: Home,
    current: watch::Receiver<Option<Home>>,
}

impl Tenancy {
    pub(super) const fn epoch(&self) -> u64 {
        self.home.epoch
    }

    pub(super) fn is_over(&self) -> bool {
        self.current.borrow().as_ref() != Some(&self.home)
    }

    pub(super) async fn ended(&self) {
        let mut current = self.current.clone();
        let moved = |current: &Option<Home>| current.as_ref() != Some(&self.home);
        if current.wait_for(moved).await.is_err() {
            // Whoever could tell is gone.
            std::future::pending().await
        }
    }
}
