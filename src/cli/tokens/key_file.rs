//! The file of a development key.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::failure::Failure;
use crate::crypto::Signer;

/// Reads a private key.
pub(super) fn read(path: &Path) -> Result<Signer, Failure> {
    let pem = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|problem| {
        let help = if problem.kind() == ErrorKind::NotFound { "; --new-key makes one" } else { "" };
        Failure::usage(format!("key `{}`: {problem}{help}", path.display()))
    })?;
    Signer::from_pem(&pem).map_err(|problem| Failure::usage(format!("key `{}`: {problem}", path.display())))
}

/// Makes a private key in a file that only its owner can read, and that was not there before.
pub(super) fn create(path: &Path) -> Result<Signer, Failure> {
    let signer = Signer::generate().map_err(|problem| Failure::failed(problem.to_string()))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|problem| {
        let help = if problem.kind() == ErrorKind::AlreadyExists { "; without --new-key it is used" } else { "" };
        Failure::usage(format!("key `{}`: {problem}{help}", path.display()))
    })?;
    let written = file.write_all(signer.to_pem().expose().as_bytes());
    written.map_err(|problem| Failure::failed(format!("key `{}`: {problem}", path.display())))?;
    Ok(signer)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dev.pem");
        assert!(matches!(read(&path), Err(Failure::Usage(message)) if message.contains("--new-key")));
        let made = create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().key_id(), made.key_id());
        assert!(create(&path).is_err(), "a key is never overwritten");
    }
}
