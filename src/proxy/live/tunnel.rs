//! Carries a WebSocket's bytes both ways, and ends it where a frame ends (RFC 6455, section 5.5.1).

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::Hold;
use super::frames::{Frames, close_frame, masked};
use crate::model::denial::Reason;

/// How long the frame that has begun may take to end and the close frame to go out; then the connection is reset.
const LAST_FRAME: Duration = Duration::from_millis(40);

/// The same where the service goes away, which may be done politely, for each of the two sides.
const LAST_FRAME_OF_ALL: Duration = Duration::from_secs(1);

/// "Going away" (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;

/// How long a side is listened to after the close frame, lest what it is just sending undo the delivery of that.
const LINGER: Duration = Duration::from_secs(1);

/// Read at once, on the stack: a tunnel at rest has no buffer.
const PIECE: usize = 8 * 1024;

/// Why a tunnel ends that nobody has ended.
enum End {
    /// The client's credential does not count any more.
    Credential(Reason),
    /// The service goes away; this masks what the upstream is told.
    GoingAway([u8; 4]),
}

/// Carries bytes until both sides are done, one breaks off, the client's credential has ended, or `going_away` is ready,
/// with what masks a frame (section 5.3).
pub(in crate::proxy) async fn carry<C, U>(
    mut client: C,
    mut upstream: U,
    hold: Option<Hold>,
    going_away: impl Future<Output = [u8; 4]>,
) where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut going_away = pin!(going_away);
    let (mut up, mut down) = (Pipe::default(), Pipe::default());
    let (mut upward, mut downward) = (Frames::new(), Frames::new());
    let ended = poll_fn(|cx| {
        if let Some(reason) = hold.as_ref().and_then(Hold::ended) {
            return Poll::Ready(Some(End::Credential(reason)));
        }
        if let Poll::Ready(mask) = going_away.as_mut().poll(cx) {
            return Poll::Ready(Some(End::GoingAway(mask)));
        }
        let upwards = up.poll(cx, &mut client, &mut upstream, |sent| upward.feed(sent));
        let downwards = down.poll(cx, &mut upstream, &mut client, |sent| downward.feed(sent));
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
    match (ended, hold) {
        (Some(End::Credential(reason)), Some(hold)) => {
            let said = timeout(LAST_FRAME, async {
                finish_frame(&mut downward, &mut down, &mut upstream, &mut client).await?;
                drop(upstream);
                let (code, text) = close_code(reason);
                say_last(&downward, &close_frame(code, text), &mut client).await
            })
            .await;
            if !matches!(said, Ok(Ok(()))) {
                hold.hang_up();
                return;
            }
            drop(hold);
            listen(&mut client).await;
        }
        (Some(End::GoingAway(mask)), hold) => {
            let close = close_frame(GOING_AWAY, "the service is going away");
            let told = timeout(LAST_FRAME_OF_ALL, async {
                finish_frame(&mut downward, &mut down, &mut upstream, &mut client).await?;
                say_last(&downward, &close, &mut client).await
            })
            .await;
            let _ = timeout(LAST_FRAME_OF_ALL, async {
                finish_frame(&mut upward, &mut up, &mut client, &mut upstream).await?;
                // It is for servers to close first (section 7.1.1).
                if !upward.closed() {
                    upstream.write_all(&masked(close, mask)).await?;
                }
                upstream.flush().await
            })
            .await;
            match (told, hold) {
                (Ok(Ok(())), _) => drop(tokio::join!(listen(&mut client), listen(&mut upstream))),
                (_, Some(hold)) => hold.hang_up(),
                _ => {}
            }
        }
        _ => {}
    }
}

/// Sends a close frame, unless there was one, and nothing after it.
async fn say_last<W: AsyncWrite + Unpin>(said: &Frames, close: &[u8], to: &mut W) -> io::Result<()> {
    if !said.closed() {
        to.write_all(close).await?;
    }
    to.shutdown().await
}

/// What comes now goes nowhere.
async fn listen<R: AsyncRead + Unpin>(to: &mut R) {
    let mut heard = vec![0; 1024];
    let _ = timeout(LINGER, async { while let Ok(1..) = to.read(&mut heard).await {} }).await;
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
