//! What a connection or a stream becomes once it has been agreed that it is the client's own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Request;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::body::Incoming;
use super::http2::StreamTunnel;

/// The client's bytes and those for it: of a whole connection in HTTP/1.1, of one stream in HTTP/2.
pub struct Tunnel(Kind);

enum Kind {
    Connection(TokioIo<Upgraded>),
    Stream(StreamTunnel),
}

/// A tunnel that is there once the answer has been written that agrees to it.
pub struct Opening(Promise);

/// By which a stream is handed over.
pub(super) type Pledge = oneshot::Receiver<StreamTunnel>;

enum Promise {
    Connection(OnUpgrade),
    Stream(Pledge),
}

/// There will be no tunnel.
#[derive(Debug, thiserror::Error)]
#[error("the answer opened no tunnel")]
pub struct NotOpened;

impl Opening {
    /// Of the request that is being handled. To be asked for before the answer is given: without it, a `CONNECT` of HTTP/2
    /// opens nothing.
    pub fn of(request: &mut Request<Incoming>) -> Self {
        match request.body_mut().take_pledge() {
            Some(pledge) => Self(Promise::Stream(pledge)),
            None => Self(Promise::Connection(hyper::upgrade::on(request))),
        }
    }
}

impl Future for Opening {
    type Output = Result<Tunnel, NotOpened>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let opened = match &mut self.0 {
            Promise::Connection(upgrade) => {
                ready!(Pin::new(upgrade).poll(cx)).ok().map(|io| Kind::Connection(TokioIo::new(io)))
            }
            Promise::Stream(pledge) => ready!(Pin::new(pledge).poll(cx)).ok().map(Kind::Stream),
        };
        Poll::Ready(opened.map(Tunnel).ok_or(NotOpened))
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Connection(io) => Pin::new(io).poll_read(cx, buf),
            Kind::Stream(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Connection(io) => Pin::new(io).poll_write(cx, buf),
            Kind::Stream(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Connection(io) => Pin::new(io).poll_flush(cx),
            Kind::Stream(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Connection(io) => Pin::new(io).poll_shutdown(cx),
            Kind::Stream(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
