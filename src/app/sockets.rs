//! Opens everything that listens, before anything is served.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::StartError;
use super::upgrade::{self, Inheritance};
use crate::admin::{AdminSocket, Guard};
use crate::edge::Listener;
use crate::model::settings::{AdminTcp, Settings};
use crate::model::{Clock, Entropy, Observer};

/// All that is open.
pub(super) struct Sockets {
    pub(super) listeners: Vec<Arc<Listener>>,
    pub(super) admin: AdminSockets,
    /// What those are for that another process had opened.
    pub(super) taken: Vec<String>,
}

/// Of the admin plane.
pub(super) struct AdminSockets {
    pub(super) health: Option<TcpListener>,
    pub(super) owner: Option<AdminSocket>,
    pub(super) tcp: Option<(TcpListener, Guard)>,
}

/// Where it listens, with the ports that the system chose.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses {
    /// `[health]`
    pub health: Option<SocketAddr>,
    /// `[admin] socket`
    pub admin_socket: Option<PathBuf>,
    /// `[admin] bind`
    pub admin_tcp: Option<SocketAddr>,
}

impl Sockets {
    /// Opens what the settings name, or nothing at all. What another process has opened stays its own until this one is
    /// told to go: it is given away already, so that it stays open should this one fail.
    pub(super) fn open(
        settings: &Settings,
        inheritance: Option<Inheritance>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        for listener in &settings.listeners {
            // First what is wrong with certificates, which is another kind of mistake than an occupied port.
            Listener::check(listener, clock).map_err(|problem| StartError::Configuration(problem.to_string()))?;
        }
        let mut inheritance = inheritance.unwrap_or_default();
        let mut listeners = Vec::with_capacity(settings.listeners.len());
        for listener in &settings.listeners {
            let socket = upgrade::inherited(&mut inheritance, &listener.name, &listener.bind);
            let is_inherited = socket.is_some();
            let listener = Listener::open_with(listener.clone(), socket, clock.clone(), observer.clone())?;
            if is_inherited {
                listener.give_away();
            }
            listeners.push(Arc::new(listener));
        }
        let health = settings.health.as_ref().map(|health| {
            let socket = inheritance.tcp("health", health.bind);
            tcp("health.bind", health.bind, socket)
        });
        let health = health.transpose()?;
        let owner = settings.admin.socket.as_deref().map(|path| match inheritance.unix("admin.socket", path) {
            Some(socket) => AdminSocket::adopt(path, socket),
            None => AdminSocket::bind(path, &**entropy),
        });
        let owner = owner.transpose();
        let admin_tcp = settings.admin.tcp.as_ref().map(|settings| {
            let socket = inheritance.tcp("admin", settings.bind);
            guarded(settings, socket)
        });
        let admin_tcp = admin_tcp.transpose()?;
        Ok(Self {
            taken: inheritance.taken(),
            listeners,
            admin: AdminSockets {
                health,
                owner: owner.map_err(|problem| StartError::Failed(problem.to_string()))?,
                tcp: admin_tcp,
            },
        })
    }

    /// Where the admin plane listens.
    pub(super) fn addresses(&self) -> Addresses {
        let admin = &self.admin;
        Addresses {
            health: admin.health.as_ref().and_then(|health| health.local_addr().ok()),
            admin_socket: admin.owner.as_ref().map(|socket| socket.path().to_owned()),
            admin_tcp: admin.tcp.as_ref().and_then(|(listener, _)| listener.local_addr().ok()),
        }
    }
}

fn guarded(settings: &AdminTcp, socket: Option<OwnedFd>) -> Result<(TcpListener, Guard), StartError> {
    let listener = tcp("admin.bind", settings.bind, socket)?;
    let bind = listener.local_addr().unwrap_or(settings.bind);
    Ok((listener, Guard::Token { bind, token: settings.token.clone() }))
}

fn tcp(key: &str, bind: SocketAddr, socket: Option<OwnedFd>) -> Result<TcpListener, StartError> {
    let open = || {
        let listener = match socket {
            Some(socket) => TcpListener::from(socket),
            None => TcpListener::bind(bind)?,
        };
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|problem: std::io::Error| {
        let problem = match problem.kind() {
            std::io::ErrorKind::AddrInUse => "another process listens there".to_owned(),
            std::io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            std::io::ErrorKind::PermissionDenied => {
                "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE".to_owned()
            }
            _ => problem.to_string(),
        };
        StartError::Failed(format!("{key} `{bind}`: {problem}"))
    })
}
