//! Opens everything that listens, before anything is served.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use super::StartError;
use crate::admin::{AdminSocket, Guard};
use crate::edge::Listener;
use crate::model::settings::{AdminTcp, Settings};
use crate::model::{Clock, Entropy, Observer};

/// All that is open.
pub(super) struct Sockets {
    pub(super) listeners: Vec<Arc<Listener>>,
    pub(super) admin: AdminSockets,
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
    /// Opens what the settings name, or nothing at all.
    pub(super) fn open(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        for listener in &settings.listeners {
            // First what is wrong with certificates, which is another kind of mistake than an occupied port.
            Listener::check(listener, &**clock).map_err(|problem| StartError::Configuration(problem.to_string()))?;
        }
        let listeners = settings
            .listeners
            .iter()
            .map(|listener| Listener::open(listener.clone(), clock.clone(), observer.clone()).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let health = settings.health.as_ref().map(|health| tcp("health.bind", health.bind)).transpose()?;
        let owner = settings.admin.socket.as_deref().map(|path| AdminSocket::bind(path, &**entropy)).transpose();
        let admin_tcp = settings.admin.tcp.as_ref().map(guarded).transpose()?;
        Ok(Self {
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

fn guarded(settings: &AdminTcp) -> Result<(TcpListener, Guard), StartError> {
    let listener = tcp("admin.bind", settings.bind)?;
    let bind = listener.local_addr().unwrap_or(settings.bind);
    Ok((listener, Guard::Token { bind, token: settings.token.clone() }))
}

fn tcp(key: &str, bind: SocketAddr) -> Result<TcpListener, StartError> {
    let open = || {
        let listener = TcpListener::bind(bind)?;
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
