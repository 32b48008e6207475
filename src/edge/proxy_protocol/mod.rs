//! The PROXY protocol, versions 1 and 2: how a proxy that relays a connection byte for byte says whose it is
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, sections 2.1 and 2.2).
//!
//! Nothing is read beyond the header's last byte: what follows belongs to the connection, be it TLS or HTTP.

mod v1;
mod v2;

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of the shortest header there is (`PROXY UNKNOWN` and CRLF).
const SHORTEST: usize = 15;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// This client's.
    Client(SocketAddr),
    /// The proxy's own (health checks), or one of a client that it has no address for.
    Unknown,
}

/// Why there is no telling whose connection it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("it does not begin with a header of the PROXY protocol")]
    Missing,
    #[error("malformed header of the PROXY protocol: {0}")]
    Malformed(&'static str),
    #[error("cannot read the header of the PROXY protocol: {0}")]
    Read(#[from] io::Error),
}

/// What a header wants after what has been read of it.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// At least this many bytes more are its own.
    More(usize),
    /// It is complete.
    Done(Source),
}

/// Reads the header, and nothing after it. To be called with a timeout; its length is bounded.
pub(super) async fn read<T: AsyncRead + Unpin>(io: &mut T) -> Result<Source, HeaderError> {
    let mut header = Vec::with_capacity(v1::LONGEST);
    loop {
        match step(&header)? {
            Step::Done(source) => return Ok(source),
            Step::More(wanted) => {
                let mut own = (&mut *io).take(u64::try_from(wanted).unwrap_or(1));
                if own.read_buf(&mut header).await? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
            }
        }
    }
}

fn step(read: &[u8]) -> Result<Step, HeaderError> {
    let begins = |start: &[u8]| read.iter().zip(start).all(|(byte, known)| byte == known);
    let (is_v1, is_v2) = (begins(v1::START), begins(v2::SIGNATURE));
    if !is_v1 && !is_v2 {
        return Err(HeaderError::Missing);
    }
    match SHORTEST.checked_sub(read.len()) {
        Some(missing @ 1..) => Ok(Step::More(missing)),
        _ if is_v2 => v2::step(read),
        _ => v1::step(read),
    }
}

#[cfg(test)]
mod tests;
