//! In this process, with a file that keeps it through a restart where one is named.

mod api_keys;
mod expiries;
mod file;
mod foreign;
mod generations;
mod log;
mod replays;
mod sessions;
mod state;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use self::file::File;
use self::state::State;
use super::{Backend, Reply, Store, StoreError};
use crate::model::Clock;

/// Opens a store in memory. With a file: what it holds is read, and every change is written before the call returns.
///
/// # Errors
/// A file that is damaged, cannot be read or is in use by another process; it stays as it is.
pub(super) fn open(file: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
    let (file, state) = match file {
        None => (None, State::empty()),
        Some(path) => {
            let (file, saved) = File::open(path)?;
            let state = State::from_saved(saved, clock.now()).map_err(|problem| file.damaged(problem))?;
            (Some(file), state)
        }
    };
    Ok(Arc::new(Memory { state: Mutex::new(state), announced: Notify::new(), file, clock }).store())
}

/// What all handles share.
struct Memory {
    state: Mutex<State>,
    /// Wakes those who follow the log.
    announced: Notify,
    file: Option<File>,
    clock: Arc<dyn Clock>,
}

impl Memory {
    fn store(self: Arc<Self>) -> Store {
        let shared = Shared(self);
        Store {
            sessions: Arc::new(shared.clone()),
            api_keys: Arc::new(shared.clone()),
            log: Arc::new(shared.clone()),
            replays: Arc::new(shared.clone()),
            foreign: Arc::new(shared.clone()),
            backend: Arc::new(shared),
        }
    }

    /// A holder that panicked left whole records behind: each change is one insertion or removal.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Shared(Arc<Memory>);

impl Shared {
    /// Changes the data, then writes the file if there is one; what `change` returns is lost where that fails, but the
    /// change itself is in force and is written by the next call that succeeds.
    async fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let (result, version) = {
            let mut state = self.0.state();
            state.sweep(self.0.clock.now());
            state.version += 1;
            (change(&mut state), state.version)
        };
        self.save(version, Duration::ZERO).await?;
        Ok(result)
    }

    /// The same, but written only if nothing was written for `at_most_every`: for what may be lost in a crash.
    async fn change_lazily<T>(
        &self,
        at_most_every: Duration,
        change: impl FnOnce(&mut State) -> T,
    ) -> Result<T, StoreError> {
        let (result, version) = {
            let mut state = self.0.state();
            state.version += 1;
            (change(&mut state), state.version)
        };
        self.save(version, at_most_every).await?;
        Ok(result)
    }

    async fn save(&self, version: u64, at_most_every: Duration) -> Result<(), StoreError> {
        let Some(file) = &self.0.file else { return Ok(()) };
        let memory = Arc::clone(&self.0);
        file.save(version, self.0.clock.now(), at_most_every, move || {
            let state = memory.state();
            (state.version, state.saved())
        })
        .await
    }
}

impl Backend for Shared {
    fn ping(&self) -> Reply<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn handle(&self) -> Store {
        Arc::clone(&self.0).store()
    }
}
