//! What files are told apart by.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::crypto::digest::sha256;

/// Of files, and of directories, where what counts is which names are in them.
#[derive(Debug, Default, Clone)]
pub(super) struct Prints(BTreeMap<PathBuf, Print>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Print {
    stamp: Option<Stamp>,
    contents: [u8; 32],
}

/// Changes whenever a file does: device, inode, size, time of the last change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

impl Prints {
    /// Of these, as they are now; those that were taken `before` stay as they were then. So what changes after `before` and
    /// is read later at the latest is noticed.
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>, before: &Self) -> Self {
        let print = |path: PathBuf| {
            let print = before.0.get(&path).cloned().unwrap_or_else(|| Print::of(&path));
            (path, print)
        };
        Self(paths.into_iter().map(print).collect())
    }

    /// Of the same, as they are now.
    pub(super) fn again(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), Print::of(path))).collect())
    }

    /// Whether no file is another one by now, as far as its metadata tell.
    pub(super) fn are_current(&self) -> bool {
        self.0.iter().all(|(path, print)| print.stamp == stamp(path))
    }

    /// Whether the same stands in all of them.
    pub(super) fn same_contents(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|((a, own), (b, others))| a == b && own.contents == others.contents)
    }
}

impl Print {
    fn of(path: &Path) -> Self {
        // The stamp first: what changes in between is noticed at the next look.
        Self { stamp: stamp(path), contents: contents(path) }
    }
}

/// Of what the path leads to, through every link.
fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
}

/// Of what stands in a file, or of the names in a directory; nothing of what can be neither.
fn contents(path: &Path) -> [u8; 32] {
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() => std::fs::read(path).map_or([0; 32], |content| sha256(&Zeroizing::new(content))),
        Ok(directory) if directory.is_dir() => {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            names.sort();
            sha256(names.join(OsStr::new("/")).as_encoded_bytes())
        }
        _ => [0; 32],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_behind_a_link_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (directory, text) in [("one", "a"), ("two", "b"), ("same", "b")] {
            std::fs::create_dir(at(directory)).unwrap();
            std::fs::write(at(directory).join("key"), text).unwrap();
        }
        let point = |to: &str| {
            std::os::unix::fs::symlink(to, at("new")).unwrap();
            std::fs::rename(at("new"), at("..data")).unwrap();
        };
        point("one");
        std::os::unix::fs::symlink("..data/key", at("key")).unwrap();
        let first = Prints::of([at("key"), at("missing")], &Prints::default());
        assert!(first.are_current());
        point("two");
        assert!(!first.are_current());
        let second = first.again();
        assert!(!second.same_contents(&first));
        point("same");
        assert!(!second.are_current());
        assert!(second.again().same_contents(&second), "another file that says the same");
        std::fs::write(at("missing"), "").unwrap();
        assert!(!second.again().same_contents(&second), "a file that is there now");
    }

    #[test]
    fn what_changes_while_it_is_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "before").unwrap();
        let before = Prints::of([file.clone()], &Prints::default());
        std::fs::write(&file, "after").unwrap();
        let kept = Prints::of([file], &before);
        assert!(!kept.are_current() && !kept.again().same_contents(&kept));
    }

    #[test]
    fn a_directory_is_the_names_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let prints = Prints::of([folder.path().to_owned()], &Prints::default());
        std::fs::write(folder.path().join("new.toml"), "").unwrap();
        assert!(!prints.are_current() && !prints.again().same_contents(&prints));
    }
}
