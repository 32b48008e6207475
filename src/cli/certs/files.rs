//! Files that others may be reading: whole or not at all, and none is lost.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, rename, renameat_with};

use crate::cli::failure::Failure;
use crate::crypto::base64url;
use crate::model::{Entropy, SystemEntropy};

/// A file to write.
pub(super) struct NewFile<'a> {
    pub(super) path: PathBuf,
    pub(super) text: &'a str,
    /// Only its owner may read it.
    pub(super) secret: bool,
}

/// Writes all of them, or none where one is there already and `force` does not say that it may go.
pub(super) fn write(files: &[NewFile<'_>], force: bool) -> Result<(), Failure> {
    if let Some(file) = files.iter().find(|file| !force && file.path.symlink_metadata().is_ok()) {
        return Err(is_there(&file.path));
    }
    files.iter().try_for_each(|file| file.write(force))
}

/// Makes a folder where there is none; those that are made here are for their owner alone.
pub(super) fn make_folder(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|problem| Failure::failed(format!("folder `{}`: {problem}", folder.display())))
}

impl NewFile<'_> {
    /// Beside its place at first, so that nobody who watches that place sees half a file.
    fn write(&self, force: bool) -> Result<(), Failure> {
        let failed = |problem: std::io::Error| Failure::failed(format!("`{}`: {problem}", self.path.display()));
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random);
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.path.with_file_name(format!(".{name}.{}", base64url::encode(&random)));
        let mode = if self.secret { 0o600 } else { 0o644 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(failed)?;
        let moved = file.write_all(self.text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| {
            let moved = if force {
                rename(&beside, &self.path)
            } else {
                renameat_with(CWD, &beside, CWD, &self.path, RenameFlags::NOREPLACE)
            };
            moved.map_err(Into::into)
        });
        moved.map_err(|problem| {
            let _ = std::fs::remove_file(&beside);
            match problem.kind() {
                std::io::ErrorKind::AlreadyExists => is_there(&self.path),
                _ => failed(problem),
            }
        })
    }
}

fn is_there(path: &Path) -> Failure {
    Failure::failed(format!("`{}` is there already; --force replaces it", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_its_owners_and_nothing_is_lost_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let file = |name: &str, text, secret| NewFile { path: at(name), text, secret };
        write(&[file("a.key", "one", true), file("a.pem", "one", false)], false).unwrap();
        for (name, mode) in [("a.key", 0o600), ("a.pem", 0o644)] {
            assert_eq!(std::fs::metadata(at(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
        }
        let refused = write(&[file("b.key", "two", true), file("a.pem", "two", false)], false).unwrap_err();
        assert!(refused.message().unwrap().contains("--force"), "{refused:?}");
        assert!(!at("b.key").exists(), "all or none");
        // Somebody who comes in between loses nothing either.
        assert!(file("a.pem", "two", false).write(false).is_err());
        assert_eq!(std::fs::read_to_string(at("a.pem")).unwrap(), "one");
        write(&[file("a.pem", "two", false)], true).unwrap();
        assert_eq!(std::fs::read_to_string(at("a.pem")).unwrap(), "two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside");
    }
}
