//! What the new process gets from the one before, and says to it.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};
use tokio::io::AsyncReadExt;

use super::words::{GO, LONGEST, Label, MOST, Said, VARIABLE};

/// Sockets that listen already, and the line to the process whose they are.
#[derive(Debug, Default)]
pub struct Inheritance {
    sockets: Vec<(Label, OwnedFd)>,
    taken: BTreeSet<String>,
}

/// To the process before.
#[derive(Debug)]
pub struct Line(UnixStream);

impl Inheritance {
    /// What the process before hands over; `None` where there is none. To be called once, before anything else reads
    /// standard input.
    pub fn claim() -> Result<Option<(Self, Line)>, String> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        let line = io::stdin().as_fd().try_clone_to_owned().map_err(cannot)?;
        let line = UnixStream::from(line);
        Ok(Some((Self::receive(&line)?, Line(line))))
    }

    fn receive(line: &UnixStream) -> Result<Self, String> {
        let (mut text, mut descriptors) = (Vec::new(), Vec::new());
        while !text.ends_with(b"\n") {
            let mut part = vec![0; LONGEST];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(line, &mut [IoSliceMut::new(&mut part)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
                .map_err(cannot)?;
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            text.extend_from_slice(part.get(..received.bytes).unwrap_or_default());
            if received.bytes == 0 || text.len() > LONGEST {
                return Err(cannot("it says nothing that can be understood"));
            }
        }
        let labels: Vec<Label> = serde_json::from_slice(&text).map_err(cannot)?;
        if labels.len() != descriptors.len() {
            return Err(cannot(format!("{} sockets were sent for {} names", descriptors.len(), labels.len())));
        }
        Ok(Self { sockets: labels.into_iter().zip(descriptors).collect(), taken: BTreeSet::new() })
    }

    /// The socket that listens at this address. One for another address is not taken, whatever it is called; where the
    /// system is to choose the port, one for the same purpose that it has chosen a port for.
    pub(in crate::app) fn tcp(&mut self, purpose: &str, bind: SocketAddr) -> Option<OwnedFd> {
        let fits = |label: &Label, socket: &OwnedFd| {
            let Ok(listener) = socket.try_clone().map(TcpListener::from) else { return false };
            let Ok(address) = listener.local_addr() else { return false };
            let of_any_port = bind.port() == 0 && label.purpose == purpose && label.bind == bind.to_string();
            address.ip() == bind.ip() && (address.port() == bind.port() || of_any_port)
        };
        self.take(purpose, fits)
    }

    /// The Unix socket that was opened at this path.
    pub(in crate::app) fn unix(&mut self, purpose: &str, path: &Path) -> Option<OwnedFd> {
        let bind = unix(path);
        let fits = |label: &Label, socket: &OwnedFd| {
            let is_unix = sockopt::socket_domain(socket).is_ok_and(|domain| domain == rustix::net::AddressFamily::UNIX);
            // Admin operations are for the owner alone: a listener's socket is never one for them, or the other way round.
            let same_kind = (label.purpose == ADMIN_SOCKET) == (purpose == ADMIN_SOCKET);
            is_unix && same_kind && label.bind == bind
        };
        self.take(purpose, fits)
    }

    fn take(&mut self, purpose: &str, fits: impl Fn(&Label, &OwnedFd) -> bool) -> Option<OwnedFd> {
        let listens = |socket: &OwnedFd| sockopt::socket_acceptconn(socket).unwrap_or(false);
        let at = self.sockets.iter().position(|(label, socket)| listens(socket) && fits(label, socket))?;
        let (label, socket) = self.sockets.remove(at);
        tracing::debug!(purpose, from = label.purpose, "the socket is that of the process before");
        self.taken.insert(label.purpose);
        Some(socket)
    }

    /// What was taken, once all has been that will be; the rest is closed here.
    pub(in crate::app) fn taken(self) -> Vec<String> {
        self.taken.into_iter().collect()
    }
}

/// What the admin plane's Unix socket is for.
pub(super) const ADMIN_SOCKET: &str = "admin.socket";

/// How the place of a Unix socket is written.
pub(super) fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

impl Line {
    /// The same line once more.
    pub fn another(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Tells the process before why this one cannot take its place.
    pub fn fail(&mut self, why: &str) {
        // A line that is too long would not be read at all.
        let why = why.chars().take(LONGEST / 8).collect();
        self.say(&Said::Failed(why));
    }

    pub(super) fn say(&mut self, what: &Said) {
        let Ok(mut text) = serde_json::to_vec(what) else { return };
        text.push(b'\n');
        if let Err(problem) = self.0.write_all(&text) {
            tracing::warn!(%problem, "the process before does not listen");
        }
    }

    /// Waits until the sockets are this process's. An error: the one before is gone, or wants to go on.
    pub(super) async fn go(&self) -> Result<(), String> {
        self.0.set_nonblocking(true).map_err(cannot)?;
        let mut line = tokio::net::UnixStream::from_std(self.0.try_clone().map_err(cannot)?).map_err(cannot)?;
        let mut word = [0; GO.len()];
        line.read_exact(&mut word).await.map_err(|_| "the process before has not handed over".to_owned())?;
        if word == GO { Ok(()) } else { Err(cannot("it says something else")) }
    }
}

fn cannot(problem: impl fmt::Display) -> String {
    format!("the sockets of the process before cannot be taken over: {problem}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn with(sockets: Vec<(&str, &str, OwnedFd)>) -> Inheritance {
        let label = |purpose: &str, bind: &str| Label { purpose: purpose.to_owned(), bind: bind.to_owned() };
        let sockets = sockets.into_iter().map(|(purpose, bind, socket)| (label(purpose, bind), socket)).collect();
        Inheritance { sockets, taken: BTreeSet::new() }
    }

    #[test]
    fn only_a_socket_that_listens_there_is_taken_whatever_it_is_called() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let another = SocketAddr::new("127.0.0.2".parse().unwrap(), address.port());
        let told = another.to_string();
        let mut inheritance =
            with(vec![("listener.main", &told, client.into()), ("listener.main", &told, listener.into())]);
        // It is said to be of that address, and is not.
        assert!(inheritance.tcp("listener.main", another).is_none());
        assert!(inheritance.tcp("listener.renamed", address).is_some());
        assert!(inheritance.tcp("listener.renamed", address).is_none(), "once");
        assert_eq!(inheritance.taken(), ["listener.main"], "by the name under which it came");
    }

    #[test]
    fn a_port_that_the_system_chose_is_for_the_same_purpose_alone() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = || TcpListener::bind(any).unwrap().into();
        let mut inheritance = with(vec![("listener.a", "127.0.0.1:0", socket()), ("health", "127.0.0.1:0", socket())]);
        assert!(inheritance.tcp("listener.b", any).is_none());
        assert!(inheritance.tcp("health", any).is_some());
        assert!(inheritance.tcp("listener.a", any).is_some());
        let mut inheritance = with(vec![("listener.a", "127.0.0.1:80", socket())]);
        assert!(inheritance.tcp("listener.a", any).is_none(), "that one was to be at a port of its own");
    }

    #[test]
    fn operations_are_never_served_on_the_socket_of_a_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let bind = unix(&path);
        let socket = UnixListener::bind(&path).unwrap();
        let mut inheritance = with(vec![("listener.a", &bind, socket.into())]);
        assert!(inheritance.unix(ADMIN_SOCKET, &path).is_none());
        assert!(inheritance.unix("listener.b", &path).is_some());
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for text in ["nonsense\n", "[{\"purpose\":\"health\",\"bind\":\"127.0.0.1:80\"}]\n", "[", ""] {
            let (mut line, theirs) = UnixStream::pair().unwrap();
            line.write_all(text.as_bytes()).unwrap();
            drop(line);
            assert!(Inheritance::receive(&theirs).is_err(), "{text}");
        }
    }
}
