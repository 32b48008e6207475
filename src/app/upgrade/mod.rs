//! A new process takes the place of this one without a closed door.
//!
//! This process starts its own program again and sends it the sockets that listen. The new one gets ready without
//! accepting anything, says so, and is told to go; only then does this one accept no more, and finish what it has begun.
//! If anything fails before that, nothing has changed.
//!
//! They speak through a pair of Unix sockets, of which the new one has its end as standard input. Descriptors go through
//! it as the system has it (`SCM_RIGHTS`), so that none is ever known by its number.

mod heir;
mod inheritance;
mod program;
mod words;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::inheritance::{Inheritance, Line};
pub use self::program::Program;

use self::heir::Heir;
use self::words::{Label, Said};
use super::notify;
use super::running::Running;
use super::sockets::AdminSockets;
use crate::edge::Listener;
use crate::gate::Shared;
use crate::model::settings::{Bind, Settings, StoreKind};

/// How long the new process may take to get ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the admin plane has to do with an upgrade.
pub(super) struct AdminDoors {
    /// Other handles of its sockets.
    sockets: Vec<(Label, OwnedFd)>,
    /// Whether the file of the Unix socket is this process's.
    owns_file: Option<Arc<AtomicBool>>,
    /// Cancelled once it is to accept no more.
    pub(super) closed: CancellationToken,
}

/// An upgrade that has begun. Where it is dropped before it is complete, all is as it was.
pub struct Upgrade {
    heir: Option<Heir>,
    listeners: Vec<Arc<Listener>>,
    owns_file: Option<Arc<AtomicBool>>,
    closed: CancellationToken,
    shared: Arc<Shared>,
    /// Whether what is revoked is known to this process alone.
    alone: bool,
}

impl AdminDoors {
    pub(super) fn new(sockets: &AdminSockets, settings: &Settings) -> std::io::Result<Self> {
        let mut held = Vec::new();
        let label = |purpose: &str, bind: String| Label { purpose: purpose.to_owned(), bind };
        if let (Some(socket), Some(health)) = (&sockets.health, &settings.health) {
            held.push((label("health", health.bind.to_string()), socket.try_clone()?.into()));
        }
        if let Some(socket) = &sockets.owner {
            held.push((label(inheritance::ADMIN_SOCKET, inheritance::unix(socket.path())), socket.listener()?.into()));
        }
        if let (Some((socket, _)), Some(tcp)) = (&sockets.tcp, &settings.admin.tcp) {
            held.push((label("admin", tcp.bind.to_string()), socket.try_clone()?.into()));
        }
        let owns_file = sockets.owner.as_ref().map(crate::admin::AdminSocket::ownership);
        Ok(Self { sockets: held, owns_file, closed: CancellationToken::new() })
    }

    /// Forgets the sockets, which are another process's now.
    pub(super) fn let_go(&mut self) {
        self.sockets.clear();
    }
}

impl Running {
    /// Starts the program in place of this process. What is refused: a store that two processes cannot use at a time, or
    /// that would forget what is revoked.
    pub fn upgrade(&self, program: &Program) -> Result<Upgrade, String> {
        self.begin(program).inspect_err(|_| self.shared.load().metrics.upgrade_failed())
    }

    fn begin(&self, program: &Program) -> Result<Upgrade, String> {
        let (settings, shared) = (self.settings.load_full(), self.shared.load_full());
        let alone = match &settings.store.kind {
            StoreKind::Memory { file: Some(file) } => {
                let file = file.display();
                return Err(format!(
                    "`store.url` is `memory:{file}`, which two processes cannot use at a time; restart"
                ));
            }
            StoreKind::Memory { file: None } => true,
            StoreKind::Redis(_) => false,
        };
        if std::process::id() == 1 {
            return Err("this is process 1 of a container, which would end with it; replace the container".to_owned());
        }
        forgets_nothing(alone, &shared)?;
        let listeners = self.listeners.all();
        let mut sockets = Vec::new();
        for listener in &listeners {
            let settings = listener.settings();
            let bind = match &settings.bind {
                Bind::Tcp(address) => address.to_string(),
                Bind::Unix(path) => inheritance::unix(path),
            };
            let label = Label { purpose: purpose(listener), bind };
            sockets.push((label, listener.descriptor().map_err(|problem| problem.to_string())?));
        }
        for (label, socket) in &self.admin.sockets {
            sockets.push((label.clone(), socket.try_clone().map_err(|problem| problem.to_string())?));
        }
        let heir = Heir::start(program, &sockets)?;
        // Whatever happens to them here from now on, they must stay open there.
        listeners.iter().for_each(|listener| listener.give_away());
        let (owns_file, closed) = (self.admin.owns_file.clone(), self.admin.closed.clone());
        Ok(Upgrade { heir: Some(heir), listeners, owns_file, closed, shared, alone })
    }

    /// The process that was started in place of another: waits until it is ready, says so, and opens its doors once it is
    /// told to.
    pub async fn take_over(&mut self, mut line: Line) -> Result<(), String> {
        if !self.ready().await {
            return Err("it was told to end before it was ready".to_owned());
        }
        line.say(&Said::Ready { taken: std::mem::take(&mut self.taken) });
        line.go().await?;
        self.listeners.all().iter().for_each(|listener| listener.keep());
        if let Some(owns_file) = &self.admin.owns_file {
            owns_file.store(true, Ordering::Release);
        }
        self.open.cancel();
        Ok(())
    }
}

impl Upgrade {
    /// The process id of the new process.
    pub fn id(&self) -> u32 {
        self.heir.as_ref().map_or(0, Heir::id)
    }

    /// Waits until the new process could serve, and lets it. From then on this process accepts nothing more, and
    /// [`Running::finish`] is to be called. The text of an error says why it serves on.
    pub async fn complete(self) -> Result<(), String> {
        let metrics = self.shared.metrics.clone();
        self.try_complete().await.inspect_err(|_| metrics.upgrade_failed())
    }

    async fn try_complete(mut self) -> Result<(), String> {
        let Some(mut heir) = self.heir.take() else { return Ok(()) };
        let taken = heir.ready(PATIENCE).await?;
        // It may have been otherwise when this began.
        forgets_nothing(self.alone, &self.shared)?;
        // Only the process that the service manager knows can name another one.
        notify::send(&format!("MAINPID={}", heir.id()));
        if let Err(problem) = heir.go() {
            notify::send(&format!("MAINPID={}", std::process::id()));
            return Err(problem);
        }
        let is_taken = |purpose: &str| taken.iter().any(|taken| taken == purpose);
        if let Some(owns_file) = &self.owns_file {
            owns_file.store(!is_taken(inheritance::ADMIN_SOCKET), Ordering::Release);
        }
        self.closed.cancel();
        for listener in self.listeners.drain(..) {
            if !is_taken(&purpose(&listener)) {
                listener.keep();
            }
            listener.retire();
        }
        Ok(())
    }
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        // First the other process, which has the sockets as well.
        drop(self.heir.take());
        self.listeners.iter().for_each(|listener| listener.keep());
    }
}

/// Whether the new process would know all that is revoked.
fn forgets_nothing(alone: bool, shared: &Shared) -> Result<(), String> {
    let revoked = shared.revocations.len();
    if alone && revoked > 0 {
        let why = "which `store.url = \"memory:\"` keeps in this process alone";
        return Err(format!("the new process would not know of {revoked} revocations, {why}; use Redis, or restart"));
    }
    Ok(())
}

fn purpose(listener: &Listener) -> String {
    format!("listener.{}", listener.settings().name)
}

/// What listeners of this name are for.
pub(super) fn inherited(inheritance: &mut Inheritance, name: &str, bind: &Bind) -> Option<OwnedFd> {
    let purpose = format!("listener.{name}");
    match bind {
        Bind::Tcp(address) => inheritance.tcp(&purpose, *address),
        Bind::Unix(path) => inheritance.unix(&purpose, Path::new(path)),
    }
}
