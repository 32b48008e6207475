//! Making a connection: TCP, TLS or Unix socket, user, database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::error::told;
use crate::model::Secret;
use crate::model::settings::{RedisAddress, RedisSettings};
use crate::store::StoreError;

/// A connection gets at least this long, however short calls are: it is made in the background.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Everything a connection needs.
pub(super) struct Dialer {
    address: RedisAddress,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    database: i64,
    username: Option<String>,
    password: Option<Secret<String>>,
    limit: Duration,
}

impl Dialer {
    pub(super) fn new(settings: &RedisSettings, call_timeout: Duration) -> Result<Self, StoreError> {
        let tls = match &settings.address {
            RedisAddress::Tls { host, ca, .. } => Some((connector(ca.as_deref())?, name(host)?)),
            RedisAddress::Tcp { .. } | RedisAddress::Unix(_) => None,
        };
        Ok(Self {
            address: settings.address.clone(),
            tls,
            database: settings.database,
            username: settings.username.clone(),
            password: settings.password.clone(),
            limit: call_timeout.max(AT_LEAST),
        })
    }

    /// A connection that has answered.
    pub(super) async fn dial(&self) -> Result<Arc<Connection>, StoreError> {
        let dialed = timeout(self.limit, self.connect()).await;
        dialed.unwrap_or(Err(StoreError::Timeout(self.limit))).map(Arc::new)
    }

    async fn connect(&self) -> Result<Connection, StoreError> {
        match &self.address {
            RedisAddress::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                self.greet(stream.map_err(|e| StoreError::Unreachable(format!("`{}`: {e}", path.display())))?).await
            }
            RedisAddress::Tcp { host, port } | RedisAddress::Tls { host, port, .. } => {
                let unreachable = |e: std::io::Error| StoreError::Unreachable(format!("`{host}:{port}`: {e}"));
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                // So that middle boxes keep an idle connection, and one whose peer has vanished ends.
                let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(30));
                SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(unreachable)?;
                match &self.tls {
                    None => self.greet(stream).await,
                    Some((connector, name)) => {
                        let stream = connector.connect(name.clone(), stream).await.map_err(unreachable)?;
                        self.greet(stream).await
                    }
                }
            }
        }
    }

    async fn greet<S>(&self, stream: S) -> Result<Connection, StoreError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut login = RedisConnectionInfo::default().set_db(self.database).set_skip_set_lib_name();
        if let Some(username) = &self.username {
            // A user without a password (`nopass`) is let in with any.
            login = login.set_username(username).set_password("");
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.expose());
        }
        // Calls have a timeout of ours that covers waiting for a connection too.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let greeted = MultiplexedConnection::new_with_config(&login, stream, config).await;
        let (commands, driver) = greeted.map_err(|e| told(&e))?;
        let driver = AbortOnDropHandle::new(tokio::spawn(driver));
        let mut connection = Connection { commands, server: "".into(), driver };
        connection.server = connection.ask_for_server().await?;
        Ok(connection)
    }
}

/// A connection and the task that drives it.
pub(super) struct Connection {
    commands: MultiplexedConnection,
    /// Which life of the server this leads to; empty where its user may not know.
    server: Arc<str>,
    driver: AbortOnDropHandle<()>,
}

impl Connection {
    pub(super) fn commands(&self) -> MultiplexedConnection {
        self.commands.clone()
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Whether the other side has closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }

    async fn ask_for_server(&self) -> Result<Arc<str>, StoreError> {
        let info = redis::cmd("INFO").arg("server").query_async::<String>(&mut self.commands()).await;
        match info {
            Ok(info) => Ok(info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or_default().into()),
            // It lives, but its user may not ask.
            Err(e) if matches!(e.code(), Some("NOPERM" | "ERR")) => Ok("".into()),
            Err(e) => Err(told(&e)),
        }
    }
}

fn connector(ca: Option<&Path>) -> Result<TlsConnector, StoreError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let unusable = |problem: String| StoreError::Misconfigured(format!("CA `{}`: {problem}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| unusable(e.to_string()))? {
                let certificate = certificate.map_err(|e| unusable(e.to_string()))?;
                roots.add(certificate).map_err(|e| unusable(e.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable("there is no certificate in it".into()));
            }
        }
        // Systems carry certificates that rustls does not take; those are left out.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| StoreError::Misconfigured(format!("TLS: {e}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn name(host: &str) -> Result<ServerName<'static>, StoreError> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| StoreError::Misconfigured(format!("`{host}` cannot be the name in a certificate")))
}
