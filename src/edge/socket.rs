//! One client's byte stream: TCP or a Unix socket, in clear or inside TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What HTTP is spoken over.
#[derive(Debug)]
pub(super) enum Transport {
    Clear(Socket),
    /// Boxed: a TLS session is kilobytes large and would make every clear connection as large.
    Tls(Box<TlsStream<Socket>>),
}

/// A stream that can be closed without what has not been sent.
pub(super) trait Reset {
    /// Closing it throws away what the system has not sent, and tells the peer that something is missing.
    fn reset_on_close(&self);
}

impl Reset for Transport {
    fn reset_on_close(&self) {
        let socket = match self {
            Self::Clear(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        };
        if let Socket::Tcp(socket) = socket {
            // Fails only on a dead socket.
            let _ = socket.set_zero_linger();
        }
    }
}

macro_rules! delegate {
    ($type:ident, $($variant:ident),+) => {
        impl AsyncRead for $type {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(inner) => Pin::new(inner).poll_read(cx, buf),)+ }
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(inner) => Pin::new(inner).poll_write(cx, buf),)+ }
            }
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),)+ }
            }
            fn is_write_vectored(&self) -> bool {
                match self { $(Self::$variant(inner) => inner.is_write_vectored(),)+ }
            }
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(inner) => Pin::new(inner).poll_flush(cx),)+ }
            }
            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(inner) => Pin::new(inner).poll_shutdown(cx),)+ }
            }
        }
    };
}

delegate!(Socket, Tcp, Unix);
delegate!(Transport, Clear, Tls);
