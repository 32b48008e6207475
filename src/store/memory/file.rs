//! The file that keeps the data through a restart. It holds digests of secrets, never secrets.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::model::{ApiKeyRecord, LogEntry, SessionRecord, Timestamp};
use crate::store::StoreError;

/// Of the format.
pub(super) const VERSION: u32 = 1;

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub(super) version: u32,
    pub(super) sessions: Vec<SavedSession>,
    pub(super) api_keys: Vec<ApiKeyRecord>,
    pub(super) revoked: Vec<LogEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedSession {
    #[serde(with = "crate::model::records::hex_digest")]
    pub(super) secret_sha256: [u8; 32],
    pub(super) record: SessionRecord,
}

/// A file that this process alone writes.
pub(super) struct File {
    path: PathBuf,
    /// What was last written; held for as long as a write takes, also where nobody waits for it any more.
    written: Arc<Mutex<Written>>,
    _lock: Lock,
}

struct Written {
    version: u64,
    at: Timestamp,
}

impl File {
    /// Reads the file; where there is none, there is nothing in it yet.
    pub(super) fn open(path: &Path) -> Result<(Self, Saved), StoreError> {
        let lock = lock(path)?;
        let written = Arc::new(Mutex::new(Written { version: 0, at: Timestamp(0) }));
        let file = Self { path: path.to_owned(), written, _lock: lock };
        let saved = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| StoreError::damaged_json(file.name(), &e))?,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                Saved { version: VERSION, sessions: Vec::new(), api_keys: Vec::new(), revoked: Vec::new() }
            }
            Err(e) => return Err(cannot("read", path, &e)),
        };
        if saved.version != VERSION {
            return Err(file.damaged(format!("its version is {}, not {VERSION}", saved.version)));
        }
        Ok((file, saved))
    }

    pub(super) fn damaged(&self, problem: impl Into<String>) -> StoreError {
        StoreError::damaged(self.name(), problem)
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Returns once the file holds `version` or a later one; writers who wait for each other write once. Does nothing
    /// if something was written less than `at_most_every` before `now`.
    pub(super) async fn save(
        &self,
        version: u64,
        now: Timestamp,
        at_most_every: Duration,
        snapshot: impl FnOnce() -> (u64, Saved) + Send + 'static,
    ) -> Result<(), StoreError> {
        let mut written = Arc::clone(&self.written).lock_owned().await;
        // A clock that was set back must not make anything wait.
        let recently = written.at <= now && now < written.at.after(at_most_every);
        if written.version >= version || recently {
            return Ok(());
        }
        let path = self.path.clone();
        // The guard goes along: a caller who leaves must not let the next write overtake this one.
        let write = tokio::task::spawn_blocking(move || {
            let (version, saved) = snapshot();
            replace(&path, &saved).map_err(|e| cannot("write", &path, &e))?;
            *written = Written { version, at: now };
            Ok(())
        });
        write.await.unwrap_or_else(|_| Err(StoreError::Refused(format!("writing `{}` was cut short", self.name()))))
    }
}

/// Two processes that write one file would undo each other's revocations. The lock lies beside the file because the
/// file itself is replaced with every write.
struct Lock(fs::File);

impl Drop for Lock {
    /// Closing alone would not do: a child that is being forked just then has the descriptor too, until it executes.
    fn drop(&mut self) {
        // Where it fails, closing is the next best.
        let _ = self.0.unlock();
    }
}

fn lock(path: &Path) -> Result<Lock, StoreError> {
    let beside = beside(path, ".lock");
    let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&beside);
    let lock = options.map_err(|e| cannot("open", &beside, &e))?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Misconfigured(format!("`{}` is in use by another process", path.display())))
        }
        Err(TryLockError::Error(e)) => Err(cannot("lock", &beside, &e)),
    }
}

/// Writes beside the file and moves it into place, so that a crash leaves the old one or the new one whole.
fn replace(path: &Path, saved: &Saved) -> io::Result<()> {
    let json = serde_json::to_vec(saved)?;
    let new = beside(path, ".new");
    match fs::remove_file(&new) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&json)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(folder(path))?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Misconfigured(format!("cannot {what} `{}`: {error}", path.display()))
}
