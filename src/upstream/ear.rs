//! Hears whether anything has come from the upstream: what decides whether a request may be sent again.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// How often something has been heard, for whoever asks whether anything has since he last asked. One thread's only,
/// and atomic because hyper wants to be able to send a connection to another.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<AtomicUsize>);

impl Heard {
    /// A number that is another once something more has been heard.
    pub(super) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A connection that notes when a byte is read. hyper tells of an end without an answer and of one within the head of
/// an answer in the same words.
pub(super) struct Ear<T> {
    io: T,
    heard: Heard,
    first: Option<oneshot::Sender<()>>,
}

impl<T> Ear<T> {
    pub(super) fn new(io: T, heard: Heard) -> Self {
        Self { io, heard, first: None }
    }

    /// One that tells of the first byte, besides.
    pub(super) fn with_first(io: T, heard: Heard) -> (Self, oneshot::Receiver<()>) {
        let (first, receiver) = oneshot::channel();
        (Self { io, heard, first: Some(first) }, receiver)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Ear<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.heard.0.fetch_add(1, Relaxed);
            if let Some(first) = self.first.take() {
                let _ = first.send(());
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Ear<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
