//! Asking for another configuration, and what came of it.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadView {
    /// Whether the new configuration is in force; otherwise the one before it is.
    pub applied: bool,
    /// What asked for it: `SIGHUP`, `files` or `admin`.
    pub cause: String,
    /// When it ended.
    pub at: String,
    /// What is in force since: a digest of the effective configuration, which holds no secrets.
    pub configuration: String,
    /// Why it was refused, as start would print it.
    pub problem: Option<String>,
}

/// Asks for reloads and tells of the last.
#[derive(Clone)]
pub struct Reloads {
    requests: mpsc::UnboundedSender<ReloadRequest>,
    last: Arc<Mutex<Option<ReloadView>>>,
}

/// Somebody asks for a reload.
pub struct ReloadRequest {
    /// What it was.
    pub cause: &'static str,
    /// Where the outcome goes.
    pub done: oneshot::Sender<ReloadView>,
}

impl Reloads {
    /// And where the requests arrive.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<ReloadRequest>) {
        let (requests, arriving) = mpsc::unbounded_channel();
        (Self { requests, last: Arc::default() }, arriving)
    }

    /// Asks for one and waits for what comes of it; `None` where nobody reloads any more. Those who ask while one is under
    /// way share the next.
    pub async fn reload(&self, cause: &'static str) -> Option<ReloadView> {
        let (done, outcome) = oneshot::channel();
        self.requests.send(ReloadRequest { cause, done }).ok()?;
        outcome.await.ok()
    }

    /// What came of the last one; `None` before the first.
    pub fn last(&self) -> Option<ReloadView> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This came of it.
    pub fn note(&self, outcome: ReloadView) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}
