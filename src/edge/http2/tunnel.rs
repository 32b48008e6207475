//! A stream that is the client's own (RFC 8441, section 5): what it carries is bytes, and nobody frames them.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;
use crate::edge::progress::Active;

/// Most that is written at once.
const PIECE: usize = 16 * 1024;

/// Both directions of a stream. Dropped, what has not ended is reset.
pub(in crate::edge) struct StreamTunnel {
    received: RecvStream,
    /// What has come and not been read.
    held: Bytes,
    sent: SendStream<Bytes>,
    stream: Rc<Stream>,
    /// The connection is not idle while this is open.
    _active: Active,
}

impl StreamTunnel {
    pub(super) fn new(received: RecvStream, sent: SendStream<Bytes>, stream: Rc<Stream>, active: Active) -> Self {
        Self { received, held: Bytes::new(), sent, stream, _active: active }
    }

    /// An error where the stream has been hung up on.
    fn check(&mut self, cx: &Context<'_>) -> io::Result<()> {
        if !self.stream.is_cut(cx) {
            return Ok(());
        }
        self.sent.send_reset(Reason::CANCEL);
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for StreamTunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.check(cx)?;
        while this.held.is_empty() {
            match ready!(this.received.poll_data(cx)) {
                Some(Ok(data)) => this.held = data,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.held.len().min(buf.remaining());
        buf.put_slice(this.held.get(..count).unwrap_or_default());
        this.held.advance(count);
        // Of a stream that is over there is nothing to release.
        let _ = this.received.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamTunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.check(cx)?;
        let piece = buf.get(..buf.len().min(PIECE)).unwrap_or_default();
        if piece.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // No more: what is handed over in one piece is asked for by `h2` itself.
        this.sent.reserve_capacity(1);
        while this.sent.capacity() == 0 {
            match ready!(this.sent.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        this.sent.send_data(Bytes::copy_from_slice(piece), false).map_err(broken)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection sends what it has.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Poll::Ready(self.sent.send_data(Bytes::new(), true).map_err(broken))
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}
