//! The framing guard: finds out where each HTTP/1 message begins and ends before hyper does, and stops at the first
//! head that two parsers could read differently.
//!
//! hyper forgives what it can: it drops a fragment from a target, a `Content-Length` beside `Transfer-Encoding`, an
//! equal repetition of a length, and takes bare line feeds. What it has dropped no later stage can refuse, so this
//! stands before it. A pure state machine: bytes in, verdicts out; [`guard`] puts it on a socket.

mod chunked;
pub(super) mod guard;
mod head;

use chunked::Chunked;
pub(super) use head::is_host;
use head::{BodyLength, HeadScan};

use crate::model::denial::Reason;

/// What a head may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramingLimits {
    /// Bytes of one head; also of the trailers and chunk extensions of one body.
    pub(crate) max_head_bytes: usize,
    /// Field lines of one head.
    pub(crate) max_fields: usize,
}

/// The state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Framing {
    limits: FramingLimits,
    state: State,
    heads: u64,
    upgrade: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Head(HeadScan),
    Body(u64),
    Chunked(Chunked),
    Undecided,
    Opaque,
    Refused(Reason),
    Broken,
}

/// What became of the bytes that were fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fed {
    /// How many, from the front, may be handed on.
    pub(crate) pass: usize,
    /// What to do with the rest.
    pub(crate) next: Next,
}

/// What is to happen after [`Framing::feed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The rest is the beginning of a head: feed it again, with what comes after it.
    Read,
    /// The rest follows a request for another protocol. Keep it until [`Framing::decide`], then feed it.
    Undecided,
    /// The rest begins with a head that is refused. Nothing after it means anything.
    Refuse(Reason),
    /// The rest is no continuation of the body that it stands in. Nothing after it means anything.
    Broken,
    /// Bytes of another protocol, which are none of our concern.
    Opaque,
}

impl Framing {
    /// At the beginning of a connection.
    pub(crate) fn new(limits: FramingLimits) -> Self {
        Self { limits, state: State::Head(HeadScan::default()), heads: 0, upgrade: false }
    }

    /// How many heads have passed.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether no message is half read: closing now loses nothing that the client sent.
    pub(crate) fn between_messages(&self) -> bool {
        matches!(&self.state, State::Head(scan) if *scan == HeadScan::default()) || self.state == State::Opaque
    }

    /// Reads on. `bytes` begins with what the last call did not pass.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Fed {
        let mut pass = 0;
        let next = loop {
            let rest = bytes.get(pass..).unwrap_or_default();
            match &mut self.state {
                State::Head(_) | State::Chunked(_) | State::Body(1..) if rest.is_empty() => break Next::Read,
                State::Head(scan) => match scan.advance(rest, &self.limits) {
                    Ok(None) => break Next::Read,
                    Ok(Some(head)) => {
                        pass += head.length;
                        self.heads += 1;
                        self.upgrade = head.upgrade;
                        self.state = match head.body {
                            BodyLength::Sized(length) => State::Body(length),
                            BodyLength::Chunked => State::Chunked(Chunked::new()),
                        };
                    }
                    Err(reason) => self.state = State::Refused(reason),
                },
                State::Body(0) => self.state = self.after_message(),
                State::Body(left) => {
                    let now = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= now as u64;
                    pass += now;
                }
                State::Chunked(chunked) => {
                    let (taken, sound) = chunked.advance(rest, self.limits.max_head_bytes);
                    pass += taken;
                    if chunked.ended() {
                        self.state = self.after_message();
                    } else if sound.is_err() {
                        self.state = State::Broken;
                    }
                }
                State::Undecided => break Next::Undecided,
                State::Opaque => {
                    pass = bytes.len();
                    break Next::Opaque;
                }
                State::Refused(reason) => break Next::Refuse(*reason),
                State::Broken => break Next::Broken,
            }
        };
        Fed { pass, next }
    }

    /// The request for another protocol has been answered: with 101, or with anything else.
    pub(crate) fn decide(&mut self, upgraded: bool) {
        if self.state == State::Undecided {
            self.state = if upgraded { State::Opaque } else { State::Head(HeadScan::default()) };
        }
    }

    fn after_message(&self) -> State {
        if self.upgrade { State::Undecided } else { State::Head(HeadScan::default()) }
    }
}

#[cfg(test)]
pub(super) mod corpus;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;
