//! The directory of a demo: for its owner alone, and gone with it.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::model::Entropy;

/// Removed, with all that is in it, when dropped.
pub(super) struct Directory(PathBuf);

/// Longest place for it: the path of a Unix socket in it may have 107 bytes.
const LONGEST_PLACE: usize = 60;

impl Directory {
    pub(super) fn create(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let mut random = [0; 8];
        entropy.fill(&mut random);
        let place =
            Some(std::env::temp_dir()).filter(|place| place.is_absolute() && place.as_os_str().len() <= LONGEST_PLACE);
        let place = place.unwrap_or_else(|| PathBuf::from("/tmp"));
        let path = place.join(format!("portcullis-demo-{:016x}", u64::from_be_bytes(random)));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|problem| Failure::failed(format!("`{}` cannot be made: {problem}", path.display())))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed now cannot be removed later either.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn nobody_else_can_look_into_it_and_nothing_is_left_behind() {
        let directory = Directory::create(&SystemEntropy).unwrap();
        let path = directory.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("file"), "x").unwrap();
        drop(directory);
        assert!(!path.exists());
    }
}
