//! Reaching a server: TCP, TLS or Unix socket, user, database.

use std::path::Path;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, RedisResult};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::error::told;
use super::tls;
use crate::model::Secret;
use crate::model::settings::RedisNode;
use crate::store::StoreError;

/// A connection that has logged in, and the task that drives it.
pub(super) struct Wire {
    commands: MultiplexedConnection,
    driver: AbortOnDropHandle<()>,
}

/// As whom.
pub(super) struct Login {
    pub(super) database: i64,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret<String>>,
}

impl Wire {
    pub(super) async fn to(node: &RedisNode, tls: Option<&TlsConnector>, login: &Login) -> Result<Self, StoreError> {
        let unreachable = |e: std::io::Error| StoreError::Unreachable(format!("`{node}`: {e}"));
        let stream = TcpStream::connect((node.host.as_str(), node.port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        // So that middle boxes keep an idle connection, and one whose peer has vanished ends.
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(30));
        SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(unreachable)?;
        match tls {
            None => Self::greet(stream, login).await,
            Some(connector) => {
                let stream = connector.connect(tls::name(&node.host)?, stream).await.map_err(unreachable)?;
                Self::greet(stream, login).await
            }
        }
    }

    pub(super) async fn to_socket(path: &Path, login: &Login) -> Result<Self, StoreError> {
        let stream = UnixStream::connect(path).await;
        let stream = stream.map_err(|e| StoreError::Unreachable(format!("`{}`: {e}", path.display())))?;
        Self::greet(stream, login).await
    }

    async fn greet<S>(stream: S, login: &Login) -> Result<Self, StoreError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut info = RedisConnectionInfo::default().set_db(login.database).set_skip_set_lib_name();
        if let Some(username) = &login.username {
            // A user without a password (`nopass`) is let in with any.
            info = info.set_username(username).set_password("");
        }
        if let Some(password) = &login.password {
            info = info.set_password(password.expose());
        }
        // Calls have a timeout of ours that covers waiting for a connection too.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let greeted = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (commands, driver) = greeted.map_err(|e| told(&e))?;
        Ok(Self { commands, driver: AbortOnDropHandle::new(tokio::spawn(driver)) })
    }

    pub(super) fn commands(&self) -> MultiplexedConnection {
        self.commands.clone()
    }

    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        command.query_async(&mut self.commands()).await
    }

    /// Whether the other side has closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }
}
