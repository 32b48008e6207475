//! Tells the service manager how things stand (`sd_notify(3)`): a datagram to the socket that it has named.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// Where it listens; without it nobody wants to know.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// Says it; nothing where nobody wants to know.
pub fn send(state: &str) {
    let Some(socket) = std::env::var_os(VARIABLE) else { return };
    if let Err(problem) = send_to(socket.as_bytes(), state) {
        tracing::warn!(%problem, state, "the service manager cannot be told");
    }
}

/// That the configuration is read again, which [`send`] of `READY=1` ends.
pub fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
    send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

fn send_to(socket: &[u8], state: &str) -> io::Result<()> {
    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut text = [0; 100];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    #[test]
    fn it_is_told_through_a_path_and_through_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send_to(path.as_os_str().as_bytes(), "READY=1").unwrap();
        assert_eq!(heard(&socket), "READY=1");

        let name = format!("portcullis-{}", path.display());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send_to(format!("@{name}").as_bytes(), "STOPPING=1").unwrap();
        assert_eq!(heard(&socket), "STOPPING=1");
    }

    #[test]
    fn a_manager_that_is_gone_is_an_error_and_no_more() {
        assert!(send_to(b"/no/such/socket", "READY=1").is_err());
    }
}
