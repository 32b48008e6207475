//! The new process, as the one before sees it.

use std::io::{ErrorKind, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::AsyncReadExt;

use super::program::Program;
use super::words::{GO, LONGEST, Label, MOST, Said, VARIABLE};

/// A process that was started to take the place of this one. It is ended when this is dropped, unless it was let go.
pub(super) struct Heir {
    child: Option<Child>,
    line: UnixStream,
}

impl Heir {
    /// Starts it with these sockets.
    pub(super) fn start(program: &Program, sockets: &[(Label, OwnedFd)]) -> Result<Self, String> {
        let cannot = |problem: &dyn std::fmt::Display| {
            format!("`{}` cannot be started in place of this process: {problem}", program.path().display())
        };
        let (line, theirs) = UnixStream::pair().map_err(|e| cannot(&e))?;
        let labels: Vec<&Label> = sockets.iter().map(|(label, _)| label).collect();
        let mut text = serde_json::to_vec(&labels).map_err(|e| cannot(&e))?;
        text.push(b'\n');
        let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(|(_, socket)| socket.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let too_many = descriptors.len() > MOST || text.len() > LONGEST;
        if too_many || (!descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors))) {
            return Err(cannot(&"there are too many sockets to hand over"));
        }
        // Before it is started, so that it finds them. They fit into what the system keeps for it.
        let sent =
            sendmsg(&line, &[IoSlice::new(&text)], &mut ancillary, SendFlags::NOSIGNAL).map_err(|e| cannot(&e))?;
        if sent != text.len() {
            return Err(cannot(&"the names of its sockets are too long"));
        }
        line.set_nonblocking(true).map_err(|e| cannot(&e))?;
        let mut command = program.command();
        command.env(VARIABLE, "1").stdin(Stdio::from(OwnedFd::from(theirs)));
        let child = command.spawn().map_err(|e| cannot(&e))?;
        Ok(Self { child: Some(child), line })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Waits until it could serve: the sockets that it has taken.
    pub(super) async fn ready(&mut self, patience: Duration) -> Result<Vec<String>, String> {
        let heard = tokio::time::timeout(patience, self.hear()).await;
        match heard {
            Ok(Ok(Some(Said::Ready { taken }))) => Ok(taken),
            Ok(Ok(Some(Said::Failed(why)))) => {
                self.end();
                Err(why)
            }
            Ok(Ok(None)) => Err(match self.end() {
                Some(how) => format!("it ended ({how}); what it said is on standard error"),
                None => "it ended".to_owned(),
            }),
            Ok(Err(problem)) => Err(format!("it cannot be understood: {problem}")),
            Err(_) => Err(format!("it was not ready within {} s", patience.as_secs_f32())),
        }
    }

    /// `None`: it has closed its end.
    async fn hear(&self) -> std::io::Result<Option<Said>> {
        let mut line = tokio::net::UnixStream::from_std(self.line.try_clone()?)?;
        let mut text = Vec::new();
        while !text.ends_with(b"\n") && text.len() < LONGEST {
            match line.read_buf(&mut text).await {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                // It has ended without having read what was sent.
                Err(problem) if problem.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(problem) => return Err(problem),
            }
        }
        Ok(Some(serde_json::from_slice(&text)?))
    }

    /// Tells it that the sockets are its own, and lets go of it.
    pub(super) fn go(mut self) -> Result<(), String> {
        self.line.write_all(GO).map_err(|problem| format!("it is gone: {problem}"))?;
        self.child = None;
        Ok(())
    }

    /// Ends it at once; how it ended.
    fn end(&mut self) -> Option<std::process::ExitStatus> {
        let mut child = self.child.take()?;
        // It is about to end by itself, and has something to say by how it does.
        for _ in 0..100 {
            if let Ok(Some(how)) = child.try_wait() {
                return Some(how);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        child.wait().ok()
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
#[path = "heir_tests.rs"]
mod tests;
