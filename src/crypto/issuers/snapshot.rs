//! The last good keys of an issuer, kept in a file for starts while they cannot be fetched.
//!
//! The file is a JWKS that also says whose it is, where it came from, and when. Whoever can write it can sign tokens; so
//! what others than this process's user or root could have written is not read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fetch::LARGEST;
use crate::crypto::digest::hex;
use crate::crypto::jwt::json as strict;
use crate::crypto::key::set::KeySet;
use crate::crypto::shown::Shown;
use crate::model::settings::Algorithm;
use crate::model::{Entropy, SystemEntropy, Timestamp};

/// Where it is, and what it is of.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) path: PathBuf,
    /// The exact `iss`.
    pub(super) issuer: Arc<str>,
    /// The configured URL: that of the JWKS, or of the discovery document.
    pub(super) url: String,
}

impl Snapshot {
    /// Replaces it as a whole, or not at all; blocks. The problem, where it could not.
    pub(super) fn write(&self, members: &[Value], fetched_at: Timestamp) -> Result<(), String> {
        let text =
            json!({"issuer": self.issuer, "url": self.url, "fetched_at": fetched_at, "keys": members}).to_string();
        replace(&self.path, text.as_bytes()).map_err(|e| format!("`{}`: {e}", self.path.display()))
    }

    /// The keys, and when they were fetched; `None` where there is no file. Blocks. An error where it is damaged, of
    /// another issuer or URL, older than `max_age`, or from a time that has not come.
    pub(super) fn read(
        &self,
        allowed: &[Algorithm],
        now: Timestamp,
        max_age: Duration,
    ) -> Result<Option<(KeySet, Timestamp)>, String> {
        let named = |problem: String| format!("`{}` {problem}", self.path.display());
        let Some(text) = read(&self.path).map_err(named)? else { return Ok(None) };
        self.parse(&text, allowed, now, max_age).map(Some).map_err(named)
    }

    fn parse(
        &self,
        text: &[u8],
        allowed: &[Algorithm],
        now: Timestamp,
        max_age: Duration,
    ) -> Result<(KeySet, Timestamp), String> {
        let snapshot = strict::object(text).map_err(|e| e.to_string())?;
        is_of(&snapshot, "issuer", &self.issuer)?;
        is_of(&snapshot, "url", &self.url)?;
        let fetched_at = snapshot.get("fetched_at").and_then(Value::as_u64).map(Timestamp);
        let fetched_at = fetched_at.ok_or("does not say when it was fetched")?;
        if fetched_at > now {
            return Err("was fetched at a time that has not come; a clock is or was wrong".to_owned());
        }
        if now >= fetched_at.after(max_age) {
            return Err(format!("was fetched {:?} ago, `max_age` is {max_age:?}", now.since(fetched_at)));
        }
        let set = KeySet::from_object(&snapshot, allowed, false).map_err(|e| format!("is {e}"))?;
        Ok((set, fetched_at))
    }
}

fn is_of(snapshot: &Map<String, Value>, name: &str, wanted: &str) -> Result<(), String> {
    match snapshot.get(name).and_then(Value::as_str) {
        Some(has) if has == wanted => Ok(()),
        other => Err(format!("is of {name} `{}`, `{wanted}` is wanted", Shown(other.unwrap_or("none")))),
    }
}

/// The content; `None` where there is no file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let unreadable = |e: io::Error| format!("cannot be read: {e}");
    // Asked before it is opened, for opening a pipe would wait; asked again of what was opened.
    match fs::metadata(path) {
        Ok(found) => check(&found)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e)),
    }
    let file = File::open(path).map_err(unreadable)?;
    check(&file.metadata().map_err(unreadable)?)?;
    let mut text = Vec::new();
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1)).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > LARGEST {
        return Err(format!("is larger than {} KiB", LARGEST / 1024));
    }
    Ok(Some(text))
}

/// Whether it is a file that nobody else could have written. A group may be able to: volumes of containers are often
/// shared that way, and a group is given by whoever runs this.
fn check(file: &fs::Metadata) -> Result<(), String> {
    if !file.is_file() {
        return Err("is not a file".to_owned());
    }
    let user = rustix::process::geteuid().as_raw();
    if file.uid() != user && file.uid() != 0 {
        return Err(format!("belongs to user {}, who could sign tokens with it", file.uid()));
    }
    if file.mode() & 0o002 != 0 {
        return Err("can be written by everybody, who could sign tokens with it".to_owned());
    }
    Ok(())
}

/// Writes beside it and renames, so that a reader finds the old text or the new one, also after a crash.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", hex(&random)));
    let new = path.with_file_name(name);
    let written = write(&new, text).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        _ = fs::remove_file(&new);
        return written;
    }
    // The name is on the disk once its folder is.
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn write(new: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
