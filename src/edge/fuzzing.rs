//! Doors for `fuzz/`, which lies outside of the crate: they exist under `--cfg fuzzing` alone.

use std::net::IpAddr;

use http::HeaderMap;

use super::forwarded;
use super::framing::{self, FramingLimits};
use crate::model::denial::Reason;

/// The framing guard's state machine.
#[derive(Debug, Clone)]
pub struct Framing(framing::Framing);

/// What is to happen after [`Framing::feed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More is wanted.
    Read,
    /// Another protocol was asked for.
    Undecided,
    /// The rest begins with a head that is refused.
    Refuse(Reason),
    /// The rest is no continuation of the body.
    Broken,
    /// Bytes of another protocol.
    Opaque,
}

impl Framing {
    /// At the beginning of a connection.
    pub fn new(max_head_bytes: usize, max_fields: usize) -> Self {
        Self(framing::Framing::new(FramingLimits { max_head_bytes, max_fields }))
    }

    /// Reads on; how many bytes may pass, and what then.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, Next) {
        let fed = self.0.feed(bytes);
        let next = match fed.next {
            framing::Next::Read => Next::Read,
            framing::Next::Undecided => Next::Undecided,
            framing::Next::Refuse(reason) => Next::Refuse(reason),
            framing::Next::Broken => Next::Broken,
            framing::Next::Opaque => Next::Opaque,
        };
        (fed.pass, next)
    }

    /// How many heads have passed.
    pub fn heads(&self) -> u64 {
        self.0.heads()
    }
}

/// Who the client is behind trusted proxies, and whether its connection was encrypted.
pub fn vouched(headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> Option<(IpAddr, Option<bool>)> {
    forwarded::vouched(headers, trusted).map(|vouched| (vouched.address, vouched.https))
}
