//! The shared connection of a handle, and the breaker that spares a store in trouble.
//!
//! A call never waits longer than the timeout, a reconnect included. After a failure calls fail at once, while one task
//! tries to connect again, at first after a tenth of a second and then ever more slowly up to half a second.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{FromRedisValue, RedisResult, Value, from_redis_value};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Request;
use super::connection::Connection;
use super::dial::Dialer;
use super::error::{is_broken, is_wrong_server, told};
use crate::model::{Entropy, SystemEntropy};
use crate::store::StoreError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Link {
    shared: Arc<Shared>,
    timeout: Duration,
}

struct Shared {
    dialer: Arc<Dialer>,
    state: watch::Sender<State>,
}

#[derive(Clone)]
enum State {
    /// Nobody has asked yet.
    Idle,
    /// A connection is being made; callers wait for it.
    Connecting,
    Up(Arc<Connection>),
    /// A connection is being made; callers are told why the last one failed.
    Down(StoreError),
}

impl Link {
    pub(super) fn new(dialer: Arc<Dialer>, timeout: Duration) -> Self {
        Self { shared: Arc::new(Shared { dialer, state: watch::Sender::new(State::Idle) }), timeout }
    }

    /// The answer, and the connection it came over.
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        request: Request<'_>,
    ) -> Result<(T, Arc<Connection>), StoreError> {
        let mut used = None;
        match timeout(self.timeout, self.attempt(request, &mut used)).await {
            Ok(Ok((value, connection))) => {
                let value = from_redis_value(value)
                    .map_err(|_| StoreError::Refused("Redis gave an answer of an unexpected type".into()))?;
                Ok((value, connection))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let error = StoreError::Timeout(self.timeout);
                self.shared.trip(used.as_ref(), &error);
                Err(error)
            }
        }
    }

    /// Asks; once more if the connection turns out to have been closed, or to lead to the wrong server. Every request may be made twice: what the
    /// first one did is at worst reported as an error.
    async fn attempt(
        &self,
        request: Request<'_>,
        used: &mut Option<Arc<Connection>>,
    ) -> Result<(Value, Arc<Connection>), StoreError> {
        let mut again = true;
        loop {
            let connection = self.ready().await?;
            *used = Some(Arc::clone(&connection));
            match send(request, &connection).await {
                Ok(value) => return Ok((value, connection)),
                Err(error) => {
                    let gone = if is_broken(&error) {
                        self.shared.lose(&connection);
                        true
                    } else {
                        is_wrong_server(&error) && self.shared.leave(&connection, &told(&error))
                    };
                    if !gone || !again {
                        return Err(told(&error));
                    }
                    again = false;
                }
            }
        }
    }

    /// The connection in use leads to another life of the server than it seemed, unless it leads to this one.
    pub(super) fn doubt(&self, server: &str) {
        let state = self.shared.state.borrow().clone();
        if let State::Up(connection) = state
            && connection.server() != server
        {
            self.shared.lose(&connection);
        }
    }

    async fn ready(&self) -> Result<Arc<Connection>, StoreError> {
        let mut states = self.shared.state.subscribe();
        loop {
            let state = states.borrow_and_update().clone();
            match state {
                State::Up(connection) if connection.is_over() => self.shared.lose(&connection),
                State::Up(connection) => {
                    self.shared.dialer.keep_watch();
                    return Ok(connection);
                }
                State::Down(error) => return Err(error),
                State::Idle => self.shared.begin(),
                State::Connecting => {
                    if states.changed().await.is_err() {
                        return Err(StoreError::Unreachable("the handle is closed".into()));
                    }
                }
            }
        }
    }
}

impl Shared {
    fn begin(self: &Arc<Self>) {
        let begun = self.state.send_if_modified(|state| {
            let idle = matches!(state, State::Idle);
            if idle {
                *state = State::Connecting;
            }
            idle
        });
        if begun {
            tokio::spawn(connect(Arc::downgrade(self), None));
        }
    }

    /// This connection is closed: callers wait for the next one.
    fn lose(self: &Arc<Self>, connection: &Arc<Connection>) {
        if self.replace(connection, State::Connecting) {
            tokio::spawn(connect(Arc::downgrade(self), None));
        }
    }

    /// This connection leads to the wrong server: says whether callers wait for the next one. One that was made a moment
    /// ago was the best to be had, so that the next one waits.
    fn leave(self: &Arc<Self>, connection: &Arc<Connection>, error: &StoreError) -> bool {
        let young = connection.age() < FIRST_PAUSE;
        if young {
            self.trip(Some(connection), error);
        } else {
            self.lose(connection);
        }
        !young
    }

    /// Callers fail at once until there is a new connection.
    fn trip(self: &Arc<Self>, used: Option<&Arc<Connection>>, error: &StoreError) {
        match used {
            Some(connection) if self.replace(connection, State::Down(error.clone())) => {
                tokio::spawn(connect(Arc::downgrade(self), Some(FIRST_PAUSE)));
            }
            _ => {
                self.state.send_if_modified(|state| {
                    let connecting = matches!(state, State::Connecting);
                    if connecting {
                        *state = State::Down(error.clone());
                    }
                    connecting
                });
            }
        }
    }

    /// Whether it was this connection that was up.
    fn replace(&self, connection: &Arc<Connection>, by: State) -> bool {
        self.state.send_if_modified(|state| {
            let up = matches!(state, State::Up(current) if Arc::ptr_eq(current, connection));
            if up {
                *state = by;
            }
            up
        })
    }
}

/// Tries until there is a connection or nobody is left who wants one.
async fn connect(link: Weak<Shared>, mut pause: Option<Duration>) {
    loop {
        if let Some(pause) = pause {
            sleep(jittered(pause)).await;
        }
        let Some(link) = link.upgrade() else { return };
        match link.dialer.dial().await {
            Ok(connection) => {
                link.state.send_replace(State::Up(connection));
                return;
            }
            Err(error) => link.state.send_replace(State::Down(error)),
        };
        pause = Some(pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE)));
    }
}

/// Between half of it and all of it, so that many instances do not come at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    let mut random = [0];
    SystemEntropy.fill(&mut random);
    pause / 2 + pause / 2 * u32::from(random[0]) / 255
}

async fn send(request: Request<'_>, connection: &Connection) -> RedisResult<Value> {
    let mut commands = connection.commands();
    match request {
        Request::Command(command) => command.query_async(&mut commands).await,
        Request::Pipeline(pipeline) => pipeline.query_async(&mut commands).await,
        Request::Script(script) => script.invoke_async(&mut commands).await,
    }
}
