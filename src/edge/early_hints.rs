//! Hints before an answer (`103 Early Hints`, RFC 8297), which hyper's server cannot send itself.
//!
//! They go out through the framing guard, by which hyper writes, and only while it flushes. hyper flushes when it has
//! nothing left to write and at no other time, so that a hint never stands within anything; and they are let go of when
//! their request is answered, before hyper has the answer, so that none stands behind its head. That a request is being
//! handled would not do: where an answer comes before the end of its request, hyper hands over the next request while it
//! still has that answer to write.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderValue;

use super::progress::Progress;

/// Most hints of one request; what comes after is left out.
const MOST: u8 = 8;

/// Longest hint, in bytes; one that is longer is left out.
const LONGEST: usize = 8 * 1024;

const HEAD: &[u8] = b"HTTP/1.1 103 Early Hints\r\n";

/// Sends hints to the client of one request, until that is answered.
#[derive(Debug)]
pub struct EarlyHints {
    progress: Arc<Progress>,
    request: u64,
    left: AtomicU8,
}

impl EarlyHints {
    pub(super) fn of(progress: &Arc<Progress>, request: u64) -> Self {
        progress.hints.request.store(request, Ordering::Release);
        Self { progress: Arc::clone(progress), request, left: AtomicU8::new(MOST) }
    }

    /// Sends these values of `Link` at once; or never, where the answer is there before they are written. At most eight
    /// times, and at most 8 KiB each; nothing is sent of no values, nor of one that is not text.
    pub fn send<'a>(&self, links: impl Iterator<Item = &'a HeaderValue>) {
        let mut hint = HEAD.to_vec();
        for link in links {
            let Ok(link) = link.to_str() else { return };
            if hint.len() + link.len() > LONGEST {
                return;
            }
            hint.extend_from_slice(b"link: ");
            hint.extend_from_slice(link.as_bytes());
            hint.extend_from_slice(b"\r\n");
        }
        if hint.len() == HEAD.len() || self.progress.hints.request.load(Ordering::Acquire) != self.request {
            return;
        }
        if self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_err() {
            return;
        }
        hint.extend_from_slice(b"\r\n");
        self.progress.hints.queue(&hint);
        self.progress.wake_driver();
    }
}

/// The hints of one connection that are still to be written: those of the request that is being handled, at most.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// The number of the request that may send them; zero: there is none.
    request: AtomicU64,
    waiting: AtomicBool,
    queue: Mutex<Vec<u8>>,
}

impl Hints {
    fn queue(&self, hint: &[u8]) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(hint);
        self.waiting.store(true, Ordering::Release);
    }

    /// The request is answered.
    pub(super) fn close(&self) {
        if self.request.load(Ordering::Acquire) != 0 {
            self.request.store(0, Ordering::Release);
            drop(self.take());
        }
    }

    /// What is to be written now, which is nothing most of the time.
    pub(super) fn take(&self) -> Option<Bytes> {
        if !self.waiting.load(Ordering::Acquire) {
            return None;
        }
        self.waiting.store(false, Ordering::Release);
        let hints = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        Some(hints.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(values: &[&'static str]) -> Vec<HeaderValue> {
        values.iter().map(|value| HeaderValue::from_static(value)).collect()
    }

    fn sent(progress: &Progress) -> String {
        progress.hints.take().map_or_else(String::new, |hints| String::from_utf8(hints.to_vec()).unwrap())
    }

    #[test]
    fn a_hint_is_a_whole_head() {
        let progress = Progress::new(true);
        let hints = EarlyHints::of(&progress, 1);
        hints.send(links(&["</a.css>; rel=preload", "</b.js>"]).iter());
        let head = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>\r\n\r\n";
        assert_eq!(sent(&progress), head);
        assert_eq!(sent(&progress), "");
        hints.send([].iter());
        assert_eq!(sent(&progress), "");
    }

    #[test]
    fn only_a_few_of_bounded_size_go_out() {
        let progress = Progress::new(true);
        let hints = EarlyHints::of(&progress, 1);
        hints.send([HeaderValue::try_from("x".repeat(LONGEST)).unwrap()].iter());
        hints.send([HeaderValue::from_bytes(b"\xff").unwrap()].iter());
        assert_eq!(sent(&progress), "");
        for _ in 0..1000 {
            hints.send(links(&["</a>"]).iter());
        }
        assert_eq!(sent(&progress).matches("103").count(), usize::from(MOST));
    }

    #[test]
    fn none_goes_out_once_the_answer_is_there_nor_with_the_next_one() {
        let progress = Progress::new(true);
        let hints = EarlyHints::of(&progress, 1);
        hints.send(links(&["</early>"]).iter());
        progress.answer(false);
        hints.send(links(&["</late>"]).iter());
        assert_eq!(sent(&progress), "");
        let next = EarlyHints::of(&progress, 2);
        hints.send(links(&["</stale>"]).iter());
        assert_eq!(sent(&progress), "");
        next.send(links(&["</next>"]).iter());
        assert!(sent(&progress).contains("</next>"));
    }
}
