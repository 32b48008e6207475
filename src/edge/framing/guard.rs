//! The framing guard on a socket: hyper reads through it and sees whole, unambiguous heads only.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::{Framing, FramingLimits, Next};
use crate::edge::progress::Progress;
use crate::edge::socket::Reset;

/// Stands in for a head that is refused, so that the refusal is answered like any other request. It carries no reason:
/// that goes beside it, through [`Progress`], where no client can write. No route can match it either.
const STAND_IN: &[u8] = b"REFUSED * HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";

/// How much is kept of what follows a request for another protocol, until that is answered.
const HOLD_AT_MOST: usize = 16 * 1024;

/// How long and how much is read and thrown away after the last answer where the client may still be sending: closing
/// at once would reset the connection, and the client might never see the answer.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// How often in a row bytes are handed on before others on the same core have their turn. Each time is up to 16 KiB, and
/// that can be a thousand frames of HTTP/2 that each want an answer.
const READS_IN_A_ROW: u8 = 4;

/// A byte stream under guard. `K` is kept until the stream is dropped.
#[derive(Debug)]
pub(in crate::edge) struct Guarded<T: Reset, K> {
    io: T,
    /// `None`: nothing is interpreted (HTTP/2, or another protocol after an upgrade).
    framing: Option<Framing>,
    next: Next,
    /// Bytes that have been read and not handed on; the first `ready` of them may be.
    held: BytesMut,
    ready: usize,
    head_begun: bool,
    progress: Arc<Progress>,
    /// What is left of hints that have begun to be written; nothing else may be written before.
    hints: Bytes,
    linger: Option<Pin<Box<Sleep>>>,
    lingered: usize,
    /// Reads since there was nothing to read, or since others had their turn.
    reads: u8,
    /// Whether the client did not take what was sent last.
    blocked: bool,
    _keep: K,
}

impl<T: Reset, K> Guarded<T, K> {
    /// HTTP/1, of which `read` has been read already.
    pub(in crate::edge) fn http1(
        io: T,
        read: BytesMut,
        limits: FramingLimits,
        progress: Arc<Progress>,
        keep: K,
    ) -> Self {
        let mut guarded = Self::opaque(io, read, progress, keep);
        guarded.framing = Some(Framing::new(limits));
        guarded.next = Next::Read;
        guarded.ready = 0;
        guarded.feed_held();
        guarded
    }

    /// Anything else, of which `read` has been read already.
    pub(in crate::edge) fn opaque(io: T, read: BytesMut, progress: Arc<Progress>, keep: K) -> Self {
        Self {
            io,
            framing: None,
            next: Next::Opaque,
            ready: read.len(),
            held: read,
            head_begun: false,
            progress,
            hints: Bytes::new(),
            linger: None,
            lingered: 0,
            reads: 0,
            blocked: false,
            _keep: keep,
        }
    }

    /// Notes whether the client takes what it is sent.
    fn sent<R>(&mut self, polled: Poll<R>) -> Poll<R> {
        if polled.is_pending() != self.blocked {
            self.blocked = polled.is_pending();
            self.progress.blocked(self.blocked);
        }
        polled
    }

    /// Feeds what is held (none of it ready) to the state machine.
    fn feed_held(&mut self) {
        if let Some(framing) = &mut self.framing {
            let fed = framing.feed(&self.held);
            self.ready = fed.pass;
            self.settle(fed.next, self.held.len() > fed.pass);
        }
    }

    /// Tells the requests what was found. `rest`: whether bytes are left that did not pass.
    fn settle(&mut self, next: Next, rest: bool) {
        if let Some(framing) = &self.framing
            && !matches!(self.next, Next::Refuse(_))
        {
            self.progress.passed(framing.heads());
        }
        let head_begun = rest && next == Next::Read;
        if head_begun != self.head_begun {
            self.head_begun = head_begun;
            self.progress.head_begun(head_begun);
        }
        match next {
            Next::Refuse(reason) if self.next != next => {
                tracing::debug!(reason = reason.row().label, "request head refused");
                self.progress.refuse(reason);
                self.held.truncate(self.ready);
                self.held.extend_from_slice(STAND_IN);
                self.ready = self.held.len();
            }
            Next::Broken => self.held.truncate(self.ready),
            Next::Opaque => self.framing = None,
            _ => {}
        }
        self.next = next;
    }
}

impl<T: Reset + AsyncRead + Unpin, K: Unpin> AsyncRead for Guarded<T, K> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        loop {
            if me.ready > 0 {
                let now = me.ready.min(buf.remaining());
                buf.put_slice(me.held.get(..now).unwrap_or_default());
                me.held.advance(now);
                me.ready -= now;
                if me.held.is_empty() {
                    me.held = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            let Some(framing) = &mut me.framing else {
                if me.held.is_empty() {
                    if me.reads == READS_IN_A_ROW {
                        me.reads = 0;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    let polled = Pin::new(&mut me.io).poll_read(cx, buf);
                    if polled.is_ready() {
                        me.reads += 1;
                        me.progress.hear();
                    } else {
                        me.reads = 0;
                    }
                    // Nobody drives a connection that has been handed to another protocol: it ends at its reader.
                    return if me.progress.is_cut_after_upgrade(&polled, cx.waker()) {
                        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
                    } else {
                        polled
                    };
                }
                me.ready = me.held.len();
                continue;
            };
            match me.next {
                // Not the end of the stream, which would cancel the request that is to answer this: nothing more.
                Next::Refuse(_) => return Poll::Pending,
                Next::Broken => return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "broken framing"))),
                Next::Undecided => {
                    if let Some(upgraded) = me.progress.upgraded(framing.heads(), cx.waker()) {
                        framing.decide(upgraded);
                        me.feed_held();
                    } else if me.held.len() >= HOLD_AT_MOST {
                        return Poll::Pending;
                    } else if ready!(poll_read_more(&mut me.io, cx, &mut me.held))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Next::Read | Next::Opaque if me.held.is_empty() => {
                    // The common case: read straight into hyper's buffer, and take back what may not pass.
                    let before = buf.filled().len();
                    ready!(Pin::new(&mut me.io).poll_read(cx, buf))?;
                    let read = buf.filled().get(before..).unwrap_or_default();
                    if read.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    let fed = framing.feed(read);
                    let rest = read.get(fed.pass..).unwrap_or_default();
                    let more = !rest.is_empty();
                    if more {
                        me.held.extend_from_slice(rest);
                        buf.set_filled(before + fed.pass);
                    }
                    me.settle(fed.next, more);
                    if fed.pass > 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Next::Read | Next::Opaque => {
                    if ready!(poll_read_more(&mut me.io, cx, &mut me.held))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    me.feed_held();
                }
            }
        }
    }
}

impl<T: Reset, K> Drop for Guarded<T, K> {
    fn drop(&mut self) {
        if self.progress.is_cut() {
            self.io.reset_on_close();
        }
    }
}

/// Reads behind what is held; how many bytes came.
fn poll_read_more<T: AsyncRead + Unpin>(
    io: &mut T,
    cx: &mut Context<'_>,
    held: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let mut space = [std::mem::MaybeUninit::<u8>::uninit(); 4096];
    let mut space = ReadBuf::uninit(&mut space);
    ready!(Pin::new(io).poll_read(cx, &mut space))?;
    held.extend_from_slice(space.filled());
    Poll::Ready(Ok(space.filled().len()))
}

impl<T: Reset + AsyncWrite + Unpin, K> Guarded<T, K> {
    /// Writes hints that have begun to their end.
    fn poll_hints(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.hints.is_empty() {
            let polled = Pin::new(&mut self.io).poll_write(cx, &self.hints);
            match ready!(self.sent(polled))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.hints.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Reset + AsyncRead + AsyncWrite + Unpin, K: Unpin> AsyncWrite for Guarded<T, K> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        ready!(me.poll_hints(cx))?;
        let polled = Pin::new(&mut me.io).poll_write(cx, buf);
        me.sent(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        ready!(me.poll_hints(cx))?;
        let polled = Pin::new(&mut me.io).poll_write_vectored(cx, bufs);
        me.sent(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        ready!(me.poll_hints(cx))?;
        // hyper has nothing left to write, or it would not flush; and the answer that these come before is not there.
        while let Some(hints) = me.progress.hints.take() {
            me.hints = hints;
            ready!(me.poll_hints(cx))?;
        }
        let polled = Pin::new(&mut me.io).poll_flush(cx);
        // Over TLS a flush writes what is still to be sent.
        me.sent(polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        ready!(Pin::new(&mut me.io).poll_shutdown(cx))?;
        if me.framing.as_ref().is_none_or(Framing::between_messages) {
            return Poll::Ready(Ok(()));
        }
        let linger = me.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER_TIME)));
        while linger.as_mut().poll(cx).is_pending() {
            me.held.clear();
            match ready!(poll_read_more(&mut me.io, cx, &mut me.held)) {
                Ok(1..) if me.lingered < LINGER_BYTES => me.lingered += me.held.len(),
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
