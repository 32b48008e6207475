//! Hints before an answer (`103 Early Hints`, RFC 8297).
//!
//! On a stream of HTTP/2 its own task sends them, for as long as it waits for the answer.
//!
//! Over HTTP/1.1 hyper's server cannot send them itself. They go out through the framing guard, by which hyper writes, and only while it flushes. hyper flushes when it has
//! nothing left to write and at no other time, so that a hint never stands within anything; and they are let go of when
//! their request is answered, before hyper has the answer, so that none stands behind its head. That a request is being
//! handled would not do: where an answer comes before the end of its request, hyper hands over the next request while it
//! still has that answer to write.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::header::LINK;
use http::{HeaderMap, HeaderValue};

use super::progress::Progress;

/// Most hints of one request; what comes after is left out.
const MOST: u8 = 8;

/// Longest hint, in bytes; one that is longer is left out.
const LONGEST: usize = 8 * 1024;

const HEAD: &[u8] = b"HTTP/1.1 103 Early Hints\r\n";

/// What a line has besides its value.
const LINE: usize = "link: \r\n".len();

/// Sends hints to the client of one request, until that is answered.
#[derive(Debug)]
pub struct EarlyHints {
    way: Way,
    left: AtomicU8,
}

#[derive(Debug)]
enum Way {
    /// HTTP/1.1, and the number of the request.
    Connection(Arc<Progress>, u64),
    Stream(Arc<StreamHints>),
}

impl EarlyHints {
    pub(super) fn of(progress: &Arc<Progress>, request: u64) -> Self {
        progress.hints.request.store(request, Ordering::Release);
        Self { way: Way::Connection(Arc::clone(progress), request), left: AtomicU8::new(MOST) }
    }

    pub(super) fn of_stream(hints: Arc<StreamHints>) -> Self {
        Self { way: Way::Stream(hints), left: AtomicU8::new(MOST) }
    }

    /// Sends these values of `Link` at once; or never, where the answer is there before they are written. At most eight
    /// times, and at most 8 KiB each; nothing is sent of no values, nor of one that is not text.
    pub fn send<'a>(&self, links: impl Iterator<Item = &'a HeaderValue>) {
        let (mut hint, mut length) = (HeaderMap::new(), HEAD.len());
        for link in links {
            length += link.len();
            if link.to_str().is_err() || length > LONGEST {
                return;
            }
            length += LINE;
            hint.append(LINK, link.clone());
        }
        if hint.is_empty() {
            return;
        }
        match &self.way {
            Way::Connection(progress, request) => {
                if progress.hints.request.load(Ordering::Acquire) == *request && self.one_more() {
                    progress.hints.queue(&head(&hint));
                    progress.wake_driver();
                }
            }
            Way::Stream(hints) => {
                if self.one_more() {
                    hints.give(hint);
                }
            }
        }
    }

    fn one_more(&self) -> bool {
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }
}

/// The hint as HTTP/1.1 has it.
fn head(hint: &HeaderMap) -> Vec<u8> {
    let mut head = HEAD.to_vec();
    for link in hint.get_all(LINK) {
        head.extend_from_slice(b"link: ");
        head.extend_from_slice(link.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The hints of one stream that are still to be sent. Locked by one core only: what tells of an upstream's hints must be
/// able to be sent to another, and never is.
#[derive(Debug, Default)]
pub(super) struct StreamHints {
    queue: Mutex<Vec<HeaderMap>>,
    sender: AtomicWaker,
}

impl StreamHints {
    fn give(&self, hint: HeaderMap) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(hint);
        self.sender.wake();
    }

    /// What is to be sent now; when there is more, `sender` is woken.
    pub(super) fn take(&self, sender: &Waker) -> Vec<HeaderMap> {
        self.sender.register(sender);
        std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner))
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
    fn a_stream_has_a_few_of_bounded_size_too() {
        let queue = Arc::<StreamHints>::default();
        let hints = EarlyHints::of_stream(Arc::clone(&queue));
        hints.send([HeaderValue::try_from("x".repeat(LONGEST)).unwrap()].iter());
        hints.send([HeaderValue::from_bytes(b"\xff").unwrap()].iter());
        hints.send([].iter());
        assert!(queue.take(Waker::noop()).is_empty());
        for _ in 0..1000 {
            hints.send(links(&["</a>", "</b>"]).iter());
        }
        let sent = queue.take(Waker::noop());
        assert_eq!(sent.len(), usize::from(MOST));
        assert!(sent.iter().all(|hint| hint.get_all(LINK).iter().eq(["</a>", "</b>"])));
        assert!(queue.take(Waker::noop()).is_empty());
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
