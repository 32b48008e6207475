//! Shared state behind traits named by what they keep; [`memory`] and [`redis`] implement them.
//!
//! Calls here are for cache misses and operations, never for each request (but for `replays`, where the configuration
//! asks for it), so a boxed future is no cost that counts.

mod api_keys;
mod backend;
mod error;
mod foreign;
mod log;
pub mod memory;
mod observed;
pub mod redis;
mod replays;
mod revoke;
mod sessions;

use std::pin::Pin;
use std::sync::Arc;

pub use api_keys::ApiKeys;
pub use backend::Backend;
pub use error::StoreError;
pub use foreign::{ForeignRecord, ForeignSessions, RecordKind};
pub use log::{Followed, Position, Replay, RevocationLog};
pub use replays::Replays;
pub use revoke::{MARGIN, RevokeError};
pub use sessions::Sessions;

use crate::model::settings::{StoreKind, StoreSettings};
use crate::model::{Clock, Observer};

/// What a call returns.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One handle to a store; its clones are the same handle. In memory: the data itself. Redis: one connection, driven by
/// the runtime that first uses it, so that every other runtime needs a [`Store::handle`] of its own.
#[derive(Clone)]
pub struct Store {
    /// Sessions.
    pub sessions: Arc<dyn Sessions>,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeys>,
    /// The revocation log.
    pub log: Arc<dyn RevocationLog>,
    /// What may be used once.
    pub replays: Arc<dyn Replays>,
    /// Sessions that the application wrote.
    pub foreign: Arc<dyn ForeignSessions>,
    /// What is behind them.
    pub backend: Arc<dyn Backend>,
}

impl Store {
    /// Opens the store that the settings name. A file that cannot be read is an error; a Redis that cannot be reached
    /// is not: calls fail until it can.
    pub fn open(
        settings: &StoreSettings,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let store = match &settings.kind {
            StoreKind::Memory { file } => memory::open(file.as_deref(), clock)?,
            StoreKind::Redis(redis) => redis::open(redis, &settings.prefix, settings.timeout)?,
        };
        Ok(observed::observed(store, observer))
    }

    /// A handle to the same store for another runtime: memory is shared, Redis gets a connection of its own.
    pub fn handle(&self) -> Self {
        self.backend.handle()
    }

    /// Asks whether the store answers and may be used: an evicting `maxmemory-policy` is [`StoreError::Misconfigured`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.backend.ping().await
    }
}
