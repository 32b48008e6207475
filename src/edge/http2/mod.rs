//! HTTP/2 with clients (RFC 9113): one connection for many requests.

mod exchange;
mod outgoing;
mod silence;
mod stream;
mod tunnel;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, Handshake, SendResponse};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) use self::exchange::Exchanges;
use self::silence::{Bounds, Silence};
pub(super) use self::stream::{Debtors, Stream};
pub(super) use self::tunnel::StreamTunnel;
use super::progress::Progress;
use crate::model::settings::HttpLimits;

/// What one connection and one of its streams may send before it is read (section 5.2).
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const STREAM_WINDOW: u32 = 256 * 1024;
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that a client may have reset, and that we may have reset for its errors, before the connection is closed
/// (CVE-2023-44487).
const RESET_BY_CLIENT: usize = 20;
const RESET_FOR_ERRORS: usize = 256;

/// A connection; ready when it has ended. `S` is given each request with what answers it.
pub(super) struct Http2<T, S> {
    state: State<T>,
    start: S,
    progress: Arc<Progress>,
    finishing: bool,
    bounds: Bounds,
}

enum State<T> {
    Handshake(Handshake<T>),
    Open(h2::server::Connection<T, Bytes>, Option<Silence>),
}

impl<T, S> Http2<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: FnMut(Request<RecvStream>, SendResponse<Bytes>) + Unpin,
{
    pub(super) fn new(io: T, limits: &HttpLimits, progress: Arc<Progress>, start: S) -> Self {
        let handshake = Builder::new()
            .max_concurrent_streams(limits.max_streams)
            .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(RESET_BY_CLIENT)
            .max_local_error_reset_streams(Some(RESET_FOR_ERRORS))
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_window_size(STREAM_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .enable_connect_protocol()
            .handshake(io);
        Self { state: State::Handshake(handshake), start, progress, finishing: false, bounds: Bounds::DEFAULT }
    }

    /// The requests that are here are answered; more are not taken (GOAWAY; section 6.8).
    pub(super) fn finish(&mut self) {
        self.finishing = true;
        if let State::Open(connection, _) = &mut self.state {
            connection.graceful_shutdown();
        }
    }
}

impl<T, S> Future for Http2<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: FnMut(Request<RecvStream>, SendResponse<Bytes>) + Unpin,
{
    type Output = Result<(), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Handshake(handshake) => {
                    let mut connection = ready!(Pin::new(handshake).poll(cx))?;
                    let pings = connection.ping_pong();
                    let silence = pings.map(|pings| Silence::new(pings, &this.progress, this.bounds));
                    if this.finishing {
                        connection.graceful_shutdown();
                    }
                    this.state = State::Open(connection, silence);
                }
                State::Open(connection, silence) => {
                    if silence.as_mut().is_some_and(|silence| silence.is_dead(cx, &this.progress)) {
                        tracing::debug!("connection closed: no answer to a PING");
                        connection.abrupt_shutdown(h2::Reason::NO_ERROR);
                        *silence = None;
                    }
                    match ready!(connection.poll_accept(cx)) {
                        Some(Ok((request, reply))) => (this.start)(request, reply),
                        Some(Err(error)) => return Poll::Ready(Err(error)),
                        None => return Poll::Ready(Ok(())),
                    }
                }
            }
        }
    }
}
