//! What is behind a handle.

use super::{Reply, Store};

/// What is behind a [`Store`]: its health, and further handles to it.
pub trait Backend: Send + Sync {
    /// Asks whether the store answers and may be used.
    fn ping(&self) -> Reply<'_, ()>;
    /// A handle to the same store that shares no connection with this one.
    fn handle(&self) -> Store;
}
