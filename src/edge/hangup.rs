//! Ending one exchange from outside, also while its client does not read and nothing of it would be polled.

use std::rc::Rc;
use std::sync::Arc;

use http::Version;

use super::early_hints::EarlyHints;
use super::http2::Stream;
use super::progress::Progress;

/// Ends one exchange from outside: the whole connection in HTTP/1, which has no other way; the one stream in HTTP/2.
#[derive(Debug, Clone)]
pub struct Hangup(Line);

#[derive(Debug, Clone)]
enum Line {
    Connection(Arc<Progress>),
    Stream(Rc<Stream>),
}

impl Hangup {
    /// Of nothing in particular, and whether it was used.
    #[cfg(test)]
    pub(crate) fn for_test() -> (Self, impl Fn() -> bool) {
        let stream = Rc::<Stream>::default();
        (Self::of_stream(Rc::clone(&stream)), move || stream.was_cut())
    }

    pub(super) fn of_connection(progress: &Arc<Progress>) -> Self {
        Self(Line::Connection(Arc::clone(progress)))
    }

    pub(super) fn of_stream(stream: Rc<Stream>) -> Self {
        Self(Line::Stream(stream))
    }

    /// A way to send hints before the answer to the request that is being handled, which was of this version: earlier
    /// ones than HTTP/1.1 have none, and would take a hint for the answer (RFC 8297, section 3).
    pub fn early_hints(&self, version: Version) -> Option<EarlyHints> {
        match &self.0 {
            Line::Connection(progress) if version == Version::HTTP_11 => {
                Some(EarlyHints::of(progress, progress.last_request()))
            }
            Line::Connection(_) => None,
            Line::Stream(stream) => Some(EarlyHints::of_stream(stream.hints())),
        }
    }

    /// Drops what serves the exchange. An HTTP/1 connection is reset, also where it is another protocol's by now, once
    /// whoever has it drops it; what the system has not sent of it is thrown away. An HTTP/2 stream is reset, and what
    /// was queued for it is thrown away.
    pub fn hang_up(&self) {
        match &self.0 {
            Line::Connection(progress) => progress.cut(),
            Line::Stream(stream) => stream.cut(),
        }
    }
}
