//! A request's body on its way through a stream.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;
use tokio::task::AbortHandle;

use super::super::request::RequestBody;

/// Most of a body that is kept until its answer, should the upstream not have looked at it.
const KEPT: usize = 64 * 1024;

/// A body that is being sent, as fast as the upstream takes it. Dropped, it is sent no further.
pub(in super::super) struct Outgoing {
    sent: Rc<RefCell<Sent>>,
    task: Option<AbortHandle>,
}

struct Sent {
    body: RequestBody,
    /// All of it that has been sent; `None` when that has become too much, or more than data.
    kept: Option<VecDeque<Bytes>>,
    bytes: usize,
}

impl Outgoing {
    /// Sends what there is at once; the rest in a task of its own.
    pub(super) fn start(body: RequestBody, stream: SendStream<Bytes>) -> Self {
        let sent = Rc::new(RefCell::new(Sent { body, kept: Some(VecDeque::new()), bytes: 0 }));
        let pipe = Pipe { sent: sent.clone(), stream };
        let task = tokio::task::spawn_local(pipe).abort_handle();
        Self { sent, task: Some(task) }
    }

    /// The body from its beginning, if all that is gone of it is still here. Nothing more of it is sent on this stream.
    pub(super) fn take_back(&mut self) -> Option<RequestBody> {
        self.stop();
        let mut sent = self.sent.borrow_mut();
        let kept = sent.kept.take()?;
        let rest = std::mem::replace(&mut sent.body, RequestBody::Empty);
        Some(if kept.is_empty() { rest } else { RequestBody::Again { kept, rest: Box::new(rest) } })
    }

    /// The upstream answers: it has the request, and will not get it again.
    pub(super) fn keep_no_more(&self) {
        self.sent.borrow_mut().kept = None;
    }

    fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Pipe {
    sent: Rc<RefCell<Sent>>,
    stream: SendStream<Bytes>,
}

impl Future for Pipe {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let ended = match ready!(this.send(cx)) {
            Ok(()) => return Poll::Ready(()),
            Err(ended) => ended,
        };
        if let Ended::Client = ended {
            // The upstream must not take what it has for the whole (RFC 9113, section 8.1.1).
            this.stream.send_reset(Reason::CANCEL);
        }
        Poll::Ready(())
    }
}

/// Why a body was not sent to its end.
enum Ended {
    /// The client broke off.
    Client,
    /// The upstream wants no more of it.
    Upstream,
}

impl Pipe {
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let upstream = |_| Ended::Upstream;
        loop {
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Ended::Upstream));
            }
            // The client is asked for more only when the upstream takes more.
            self.stream.reserve_capacity(1);
            while self.stream.capacity() == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(Err(Ended::Upstream)),
                }
            }
            let mut sent = self.sent.borrow_mut();
            let frame = match ready!(Pin::new(&mut sent.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Err(Ended::Client)),
                None => return Poll::Ready(self.stream.send_data(Bytes::new(), true).map_err(upstream)),
            };
            match frame.into_data() {
                Ok(data) => {
                    sent.keep(&data);
                    let last = sent.body.is_end_stream();
                    if let Err(error) = self.stream.send_data(data, last) {
                        return Poll::Ready(Err(upstream(error)));
                    }
                    if last {
                        return Poll::Ready(Ok(()));
                    }
                }
                Err(frame) => {
                    sent.kept = None;
                    let trailers = frame.into_trailers().unwrap_or_default();
                    self.stream.reserve_capacity(0);
                    return Poll::Ready(self.stream.send_trailers(trailers).map_err(upstream));
                }
            }
        }
    }
}

impl Sent {
    fn keep(&mut self, data: &Bytes) {
        self.bytes += data.len();
        if self.bytes > KEPT {
            self.kept = None;
        } else if let Some(kept) = &mut self.kept {
            kept.push_back(data.clone());
        }
    }
}
