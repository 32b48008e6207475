//! Listening sockets: opening them, taking them over, closing them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockRef, Type};

use crate::model::settings::Bind;

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: i32 = 4096;

/// Who may open a listener's Unix socket: its owner and group.
const UNIX_SOCKET_MODE: u32 = 0o660;

/// A socket that listens.
pub(super) enum Bound {
    Tcp { socket: std::net::TcpListener, address: SocketAddr },
    Unix { socket: std::os::unix::net::UnixListener, path: PathBuf, file: Option<(u64, u64)> },
}

impl Bound {
    /// Opens one. The text of the error says what is wrong, and what would be right.
    pub(super) fn open(bind: &Bind) -> Result<Self, String> {
        match bind {
            Bind::Tcp(address) => bind_tcp(*address),
            Bind::Unix(path) => bind_unix(path),
        }
    }

    /// One that listens already, opened by somebody else.
    pub(super) fn adopt(bind: &Bind, socket: OwnedFd) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("the socket of {bind} cannot be taken over: {error}");
        match bind {
            Bind::Tcp(_) => {
                let socket = std::net::TcpListener::from(socket);
                socket.set_nonblocking(true).map_err(cannot)?;
                let address = socket.local_addr().map_err(cannot)?;
                Ok(Self::Tcp { socket, address })
            }
            Bind::Unix(path) => {
                let socket = std::os::unix::net::UnixListener::from(socket);
                socket.set_nonblocking(true).map_err(cannot)?;
                Ok(Self::Unix { socket, path: path.clone(), file: identity(path) })
            }
        }
    }

    /// Another handle of the same socket.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(match self {
            Self::Tcp { socket, .. } => socket.try_clone()?.into(),
            Self::Unix { socket, .. } => socket.try_clone()?.into(),
        })
    }

    /// Stops listening, for all that hold it: new connections are refused by the system instead of waiting in a queue
    /// that nobody will empty.
    pub(super) fn close(&self) {
        // An error means that another worker has closed it already.
        let _ = match self {
            Self::Tcp { socket, .. } => SockRef::from(socket).shutdown(std::net::Shutdown::Read),
            Self::Unix { socket, .. } => SockRef::from(socket).shutdown(std::net::Shutdown::Read),
        };
        if let Self::Unix { path, file, .. } = self
            && file.is_some()
            && identity(path) == *file
        {
            // Ours still: a successor that has taken the path over keeps it.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind_tcp(address: SocketAddr) -> Result<Bound, String> {
    let open = || -> io::Result<Bound> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // So that a restart need not wait for old connections to be forgotten. Not SO_REUSEPORT: with it a second
        // instance would take half the connections instead of an error.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let socket = std::net::TcpListener::from(socket);
        let address = socket.local_addr()?;
        Ok(Bound::Tcp { socket, address })
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is in use by another process; stop it (`ss -ltnp` shows it) or choose another port")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{address} is no address of this machine; expected one of its own, or 0.0.0.0")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "not allowed to listen on {address}; ports below 1024 need CAP_NET_BIND_SERVICE, or choose a higher one"
            )
        }
        _ => format!("cannot listen on {address}: {error}"),
    })
}

fn bind_unix(path: &Path) -> Result<Bound, String> {
    let shown = path.display();
    let cannot = |error: io::Error| format!("cannot listen on `unix:{shown}`: {error}");
    remove_stale(path)?;
    let socket = std::os::unix::net::UnixListener::bind(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("cannot listen on `unix:{shown}`: its directory does not exist"),
        io::ErrorKind::AddrInUse => {
            format!("cannot listen on `unix:{shown}`: there is a file of that name that is no socket")
        }
        _ => cannot(error),
    })?;
    socket.set_nonblocking(true).map_err(cannot)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(UNIX_SOCKET_MODE)).map_err(cannot)?;
    // The standard library listens with a backlog of its own; a second call changes it.
    SockRef::from(&socket).listen(BACKLOG).map_err(cannot)?;
    let file = identity(path);
    Ok(Bound::Unix { socket, path: path.to_owned(), file })
}

/// Removes a socket that a process left behind when it died; one that somebody answers on is an error.
fn remove_stale(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::FileTypeExt;
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)
            .map_err(|error| format!("the stale socket `unix:{}` cannot be removed: {error}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("`unix:{}` exists and cannot be tried: {error}", path.display())),
        Ok(_) => Err(format!("`unix:{}` is in use by another process; stop it or choose another path", path.display())),
    }
}

/// What tells one file from another of the same path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
