//! The Unix socket of operations: it opens with the permissions of its owner alone, and never for a moment with others.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::Entropy;

/// An open socket; its file goes when it is dropped, unless it is somebody else's.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    file: (u64, u64),
    is_ours: Arc<AtomicBool>,
}

/// Why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("admin.socket `unix:{}`: {problem}", path.display())]
pub struct SocketError {
    /// Where.
    pub path: PathBuf,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl AdminSocket {
    /// Opens the socket. A file that a dead process left is replaced; one that somebody listens on, or that is no socket,
    /// is not.
    pub fn bind(path: &Path, entropy: &dyn Entropy) -> Result<Self, SocketError> {
        let error = |problem: String| SocketError { path: path.to_owned(), problem };
        check_place(path).map_err(error)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));

        // `bind` creates the file with the permissions that the umask leaves. In a directory of our own that nobody else
        // can enter, nobody can connect before they are set.
        let mut random = [0; 8];
        entropy.fill(&mut random);
        let private = parent.join(format!(".pc-{:016x}", u64::from_be_bytes(random)));
        fs::DirBuilder::new().mode(0o700).create(&private).map_err(|problem| error(describe(&problem, parent)))?;
        let opened = open_in(&private, path);
        // Left over only if something failed above; a socket that was moved away is no longer in it.
        let _ = fs::remove_file(private.join("s"));
        let _ = fs::remove_dir(&private);
        let (listener, file) = opened.map_err(|problem| error(describe(&problem, parent)))?;
        Ok(Self { listener, path: path.to_owned(), file, is_ours: Arc::new(AtomicBool::new(true)) })
    }

    /// One that another process has opened there, and whose file stays that process's until [`AdminSocket::ownership`]
    /// says otherwise.
    pub fn adopt(path: &Path, socket: OwnedFd) -> Result<Self, SocketError> {
        let error = |problem: io::Error| SocketError { path: path.to_owned(), problem: problem.to_string() };
        let file = identity(path).map_err(error)?;
        let listener = UnixListener::from(socket);
        listener.set_nonblocking(true).map_err(error)?;
        Ok(Self { listener, path: path.to_owned(), file, is_ours: Arc::default() })
    }

    /// Whether its file goes when it is dropped.
    pub fn ownership(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_ours)
    }

    /// Another handle to the listener, non-blocking.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // Only our own: another instance may have replaced it.
        if self.is_ours.load(Ordering::Acquire) && identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open_in(private: &Path, path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    let temporary = private.join("s");
    let listener = UnixListener::bind(&temporary)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))?;
    let file = identity(&temporary)?;
    fs::rename(&temporary, path)?;
    Ok((listener, file))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Whether the place is free, or held by a file that a dead process left.
fn check_place(path: &Path) -> Result<(), String> {
    // A socket can be moved to a path that no client could name.
    SocketAddr::from_pathname(path).map_err(|_| "the path is too long for a Unix socket".to_owned())?;
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(problem) => return Err(problem.to_string()),
    };
    if !file.file_type().is_socket() {
        return Err("there is a file that is no socket; it is not replaced".to_owned());
    }
    match UnixStream::connect(path) {
        Ok(_) => Err("another process listens there; is this instance running already?".to_owned()),
        Err(problem) if problem.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(problem) => Err(problem.to_string()),
    }
}

fn describe(problem: &io::Error, parent: &Path) -> String {
    match problem.kind() {
        io::ErrorKind::NotFound => format!("the directory `{}` does not exist", parent.display()),
        io::ErrorKind::PermissionDenied => format!("the directory `{}` cannot be written", parent.display()),
        io::ErrorKind::InvalidInput => "the path is too long for a Unix socket".to_owned(),
        _ => problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn f64_only_the_owner_can_open_it_and_it_goes_with_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let socket = AdminSocket::bind(&path, &SystemEntropy).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the private directory is gone");
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_live_socket_is_not_taken_over_and_a_dead_one_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let dead = UnixListener::bind(&path).unwrap();
        let problem = AdminSocket::bind(&path, &SystemEntropy).unwrap_err().to_string();
        assert!(problem.contains("another process listens there"), "{problem}");
        drop(dead);
        AdminSocket::bind(&path, &SystemEntropy).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("precious.txt");
        fs::write(&path, "data").unwrap();
        assert!(AdminSocket::bind(&path, &SystemEntropy).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    }

    #[test]
    fn a_successor_keeps_its_file_when_the_predecessor_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let first = AdminSocket::bind(&path, &SystemEntropy).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = AdminSocket::bind(&path, &SystemEntropy).unwrap();
        drop(first);
        assert!(path.exists());
    }

    #[test]
    fn problems_name_what_would_be_right() {
        let problem = AdminSocket::bind(Path::new("/no/such/directory/x.sock"), &SystemEntropy).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "admin.socket `unix:/no/such/directory/x.sock`: the directory `/no/such/directory` does not exist"
        );
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("x".repeat(120));
        let problem = AdminSocket::bind(&long, &SystemEntropy).unwrap_err();
        assert!(problem.to_string().ends_with("the path is too long for a Unix socket"), "{problem}");
    }
}
