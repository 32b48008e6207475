//! Opening a listener: its certificates and its socket.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use socket2::{Domain, Protocol, SockRef, Type};

use super::socket::Socket;
use super::tls;
use crate::model::settings::{Bind, ListenerSettings};
use crate::model::{Clock, Observer};

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: i32 = 4096;

/// Who may open a listener's Unix socket: its owner and group.
const UNIX_SOCKET_MODE: u32 = 0o660;

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("listener.{listener}: {problem}")]
pub struct ListenError {
    /// Its name.
    pub listener: Arc<str>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A listener that is open; workers share its socket.
pub struct Listener {
    settings: Arc<ListenerSettings>,
    tls: Option<Arc<ServerConfig>>,
    socket: Bound,
    /// Connections of all workers.
    open: Arc<AtomicUsize>,
    observer: Arc<dyn Observer>,
}

enum Bound {
    Tcp { socket: std::net::TcpListener, address: SocketAddr },
    Unix { socket: std::os::unix::net::UnixListener, path: PathBuf, file: Option<(u64, u64)> },
}

/// One worker's handle of a listening socket, registered with that worker's runtime.
pub(super) enum Acceptor {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listener {
    /// Reads certificates, and opens nothing.
    pub fn check(settings: &ListenerSettings, clock: &dyn Clock) -> Result<(), ListenError> {
        match &settings.tls {
            Some(tls) => tls::server_config(tls, clock)
                .map(drop)
                .map_err(|problem| ListenError { listener: Arc::clone(&settings.name), problem }),
            None => Ok(()),
        }
    }

    /// Reads certificates and opens the socket. An occupied port, an unreadable or mismatched certificate or an empty CA
    /// bundle is an error that says so.
    pub fn open(
        settings: Arc<ListenerSettings>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ListenError> {
        let failed = |problem: String| ListenError { listener: Arc::clone(&settings.name), problem };
        // Certificates first: what cannot be served must not occupy a port.
        let tls = match &settings.tls {
            Some(tls) => Some(tls::server_config(tls, &*clock).map_err(failed)?),
            None => None,
        };
        let socket = match &settings.bind {
            Bind::Tcp(address) => bind_tcp(*address),
            Bind::Unix(path) => bind_unix(path),
        }
        .map_err(failed)?;
        Ok(Self { settings, tls, socket, open: Arc::new(AtomicUsize::new(0)), observer })
    }

    /// Where it listens, the port that the system chose filled in; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Bound::Tcp { address, .. } => Some(*address),
            Bound::Unix { .. } => None,
        }
    }

    /// Its settings.
    pub fn settings(&self) -> &Arc<ListenerSettings> {
        &self.settings
    }

    /// How many connections it has now, all workers together.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.tls.as_ref()
    }

    pub(super) fn open_connections(&self) -> &Arc<AtomicUsize> {
        &self.open
    }

    pub(super) fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// This worker's handle. Must be called inside its runtime.
    pub(super) fn acceptor(&self) -> io::Result<Acceptor> {
        Ok(match &self.socket {
            Bound::Tcp { socket, .. } => Acceptor::Tcp(tokio::net::TcpListener::from_std(socket.try_clone()?)?),
            Bound::Unix { socket, .. } => Acceptor::Unix(tokio::net::UnixListener::from_std(socket.try_clone()?)?),
        })
    }

    /// A connection that waits to be accepted, if there is one. Asks the system itself: a runtime that has not had a turn
    /// since the client came does not know of it. Must be called inside a runtime.
    pub(super) fn queued(&self) -> Option<(Socket, Option<SocketAddr>)> {
        match &self.socket {
            Bound::Tcp { socket, .. } => {
                let (stream, peer) = socket.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some((Socket::Tcp(tokio::net::TcpStream::from_std(stream).ok()?), Some(peer)))
            }
            Bound::Unix { socket, .. } => {
                let (stream, _) = socket.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some((Socket::Unix(tokio::net::UnixStream::from_std(stream).ok()?), None))
            }
        }
    }

    /// Stops listening, for all workers at once: new connections are refused by the system instead of waiting in a queue
    /// that nobody will empty.
    pub(super) fn close(&self) {
        // An error means that another worker has closed it already.
        let _ = match &self.socket {
            Bound::Tcp { socket, .. } => SockRef::from(socket).shutdown(std::net::Shutdown::Read),
            Bound::Unix { socket, .. } => SockRef::from(socket).shutdown(std::net::Shutdown::Read),
        };
        if let Bound::Unix { path, file, .. } = &self.socket
            && file.is_some()
            && identity(path) == *file
        {
            // Ours still: a successor that has taken the path over keeps it.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("name", &self.settings.name).field("bind", &self.settings.bind).finish()
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
