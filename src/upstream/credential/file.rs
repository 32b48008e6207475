//! A token in a file that somebody else renews, as Kubernetes does with projected service account tokens.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::model::Secret;

/// Longest token, in bytes.
const LONGEST: u64 = 16 * 1024;

/// Changes whenever a file does: device, inode, size, time of the last change in seconds and nanoseconds.
pub(super) type Stamp = (u64, u64, u64, i64, i64);

/// What stands in a file, and what the file looked like before it was read.
pub(super) struct Found {
    pub(super) stamp: Option<Stamp>,
    pub(super) token: Result<Secret<Vec<u8>>, String>,
}

/// What the file looks like, through every link.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
}

/// The token without the newline that editors put at the end. The problem says nothing of what stands in the file.
pub(super) fn read(path: &Path) -> Found {
    // The stamp first: what changes in between is noticed at the next look.
    let stamp = stamp(path);
    let token = content(path).map_err(|why| format!("`{}`: {why}", path.display()));
    Found { stamp, token }
}

fn content(path: &Path) -> Result<Secret<Vec<u8>>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a file".to_owned());
    }
    // So much at once that nothing is left of it elsewhere in memory.
    let mut bytes = Vec::with_capacity(usize::try_from(LONGEST).unwrap_or_default() + 2);
    file.take(LONGEST + 2).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    let token = Secret::new(bytes);
    let bytes = token.expose();
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err("it holds more than one word of visible ASCII".to_owned());
    }
    Ok(token)
}
