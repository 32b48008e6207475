//! Carries a WebSocket's bytes both ways, and ends it where a frame ends (RFC 6455, section 5.5.1).

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::Hold;
use super::frames::{Frames, close_frame};
use crate::model::denial::Reason;

/// How long the frame that has begun may take to end and the close frame to go out; then the connection is reset.
const LAST_FRAME: Duration = Duration::from_millis(40);

/// How long the client is listened to after the close frame, lest what it is just sending undo the delivery of that.
const LINGER: Duration = Duration::from_secs(1);

/// Read at once, on the stack: a tunnel at rest has no buffer.
const PIECE: usize = 8 * 1024;

/// Carries bytes until both sides are done, one breaks off, or the client's credential has ended.
pub(in crate::proxy) async fn carry<C, U>(mut client: C, mut upstream: U, hold: Option<Hold>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut up, mut down) = (Pipe::default(), Pipe::default());
    let mut frames = Frames::new();
    let ended = poll_fn(|cx| {
        if let Some(reason) = hold.as_ref().and_then(Hold::ended) {
            return Poll::Ready(Some(reason));
        }
        let upwards = up.poll(cx, &mut client, &mut upstream, |_| {});
        let downwards = down.poll(cx, &mut upstream, &mut client, |sent| frames.feed(sent));
        match (upwards, downwards) {
            // A side that breaks off is how most WebSockets end.
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(None),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(None),
            _ => {
                if let Some(hold) = &hold {
                    hold.wake_answer(cx.waker());
                }
                Poll::Pending
            }
        }
    })
    .await;
    let (Some(reason), Some(hold)) = (ended, hold) else { return };
    let said = timeout(LAST_FRAME, async {
        finish_frame(&mut frames, &mut down, &mut upstream, &mut client).await?;
        drop(upstream);
        if !frames.closed() {
            let (code, text) = close_code(reason);
            client.write_all(&close_frame(code, text)).await?;
        }
        client.shutdown().await
    })
    .await;
    if !matches!(said, Ok(Ok(()))) {
        hold.hang_up();
        return;
    }
    drop(hold);
    // What comes now goes nowhere.
    let mut heard = vec![0; 1024];
    let _ = timeout(LINGER, async { while let Ok(1..) = client.read(&mut heard).await {} }).await;
}

/// Application's own codes begin at 4000 (RFC 6455, section 7.4.2); 1008 is "policy".
const fn close_code(reason: Reason) -> (u16, &'static str) {
    match reason {
        Reason::RevocationStale | Reason::StoreUnavailable => (1008, "the service cannot decide right now"),
        Reason::Revoked => (4401, "the credential has been revoked"),
        _ => (4401, "the credential has expired"),
    }
}

/// Sends what is left of the frame that has begun, and nothing behind it.
async fn finish_frame<C, U>(frames: &mut Frames, down: &mut Pipe, upstream: &mut U, client: &mut C) -> io::Result<()>
where
    C: AsyncWrite + Unpin,
    U: AsyncRead + Unpin,
{
    if down.shut {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    // Not on the stack: every tunnel's future would be as large from its beginning.
    let mut piece = vec![0; PIECE];
    loop {
        let left = frames.left().ok_or(io::ErrorKind::InvalidData)?.min(PIECE);
        if left == 0 {
            return Ok(());
        }
        let space = piece.get_mut(..left).unwrap_or_default();
        let count = match down.take(space) {
            0 => upstream.read(space).await?,
            taken => taken,
        };
        let bytes = piece.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        client.write_all(bytes).await?;
        frames.feed(bytes);
    }
}

/// One direction.
#[derive(Default)]
struct Pipe {
    /// What has been read and not written, from `at` on; at most a piece.
    held: Vec<u8>,
    at: usize,
    to_flush: bool,
    read_all: bool,
    shut: bool,
}

impl Pipe {
    /// Carries what can be carried now. Ready once the reader is at its end and the writer has been told.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        mut sent: impl FnMut(&[u8]),
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            while let Some(bytes) = self.held.get(self.at..).filter(|bytes| !bytes.is_empty()) {
                let count = ready!(write(cx, writer, bytes))?;
                sent(bytes.get(..count).unwrap_or_default());
                self.at += count;
                self.to_flush = true;
            }
            (self.held, self.at) = (Vec::new(), 0);
            if self.read_all {
                break;
            }
            let mut space = [MaybeUninit::<u8>::uninit(); PIECE];
            let mut space = ReadBuf::uninit(&mut space);
            match Pin::new(&mut *reader).poll_read(cx, &mut space)? {
                Poll::Ready(()) if space.filled().is_empty() => self.read_all = true,
                Poll::Ready(()) => match write(cx, writer, space.filled())? {
                    Poll::Ready(count) => {
                        let (done, rest) = space.filled().split_at_checked(count).unwrap_or_default();
                        sent(done);
                        self.to_flush = true;
                        self.held.extend_from_slice(rest);
                    }
                    Poll::Pending => {
                        self.held.extend_from_slice(space.filled());
                        return Poll::Pending;
                    }
                },
                Poll::Pending => {
                    // Nothing more to send for now: what was sent must arrive.
                    if self.to_flush {
                        ready!(Pin::new(writer).poll_flush(cx))?;
                        self.to_flush = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        if !self.shut {
            ready!(Pin::new(writer).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes up to so many of the bytes that have been read and not written.
    fn take(&mut self, space: &mut [u8]) -> usize {
        let held = self.held.get(self.at..).unwrap_or_default();
        let count = held.len().min(space.len());
        if let (Some(to), Some(from)) = (space.get_mut(..count), held.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        count
    }
}

fn write<W: AsyncWrite + Unpin>(cx: &mut Context<'_>, writer: &mut W, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(writer).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        count => Poll::Ready(Ok(count)),
    }
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
