//! The request on its way to an upstream: how its body is framed, and how far it has got.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderValue, Method, request};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::BodyError;
use super::credential::strip;
use crate::gate::Permit;
use crate::model::Denial;
use crate::model::denial::Reason;

/// States the body's length once and truly (RFC 9112, section 6.3), whatever the client's own framing was.
///
/// hyper would drop a body of unknown length from a GET without a word, and would believe a `Content-Length` that the
/// body does not keep: what is left over would be read as the next request (f58).
pub(super) fn frame<B: Body>(head: &mut request::Parts, body: &B) -> Result<(), Denial> {
    head.headers.remove(TRANSFER_ENCODING);
    // `Expect: 100-continue` is between the client and us: our server asks for the body when it is first read, which is
    // when the upstream's connection is there. Sent on, it would promise a wait that our client does not keep.
    head.headers.remove(EXPECT);
    let stated = stated_length(head)?;
    let actual = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
    match (stated, actual) {
        (Some(stated), Some(actual)) if stated != actual => {
            let detail = format!("`Content-Length: {stated}` with a body of {actual} bytes");
            return Err(Denial::because(Reason::AmbiguousFraming, detail));
        }
        (Some(_), _) => {}
        // RFC 9110, section 8.6: methods that expect content say so when there is none; others say nothing.
        (None, Some(0)) => {
            if matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
                head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
        }
        (None, Some(length)) => {
            head.headers.insert(CONTENT_LENGTH, length.into());
        }
        (None, None) => {
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    Ok(())
}

fn stated_length(head: &request::Parts) -> Result<Option<u64>, Denial> {
    let mut values = head.headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    match (digits.and_then(|digits| digits.parse().ok()), values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(Denial::because(Reason::AmbiguousFraming, "several values of `Content-Length`, or not a number")),
    }
}

/// A request's body: nothing at all (and then nothing is allocated), or the client's stream.
pub(super) enum RequestBody {
    Empty,
    Streaming(Pin<Box<dyn Body<Data = Bytes, Error = BodyError>>>),
    /// One that has been sent once already, as far as `kept`.
    Again {
        kept: VecDeque<Bytes>,
        rest: Box<RequestBody>,
    },
}

impl RequestBody {
    /// Wraps a client's body. The permit says what trailers may carry; never the header that is `own`, folded.
    pub(super) fn new<B>(body: B, permit: Option<Permit>, own: Option<Box<str>>) -> (Self, Progress)
    where
        B: Body<Data = Bytes> + 'static,
        B::Error: Into<BodyError>,
    {
        let progress = Progress::new();
        if body.is_end_stream() {
            progress.0.set(State { at: Instant::now(), stage: Stage::Done });
            return (Self::Empty, progress);
        }
        (Self::Streaming(Box::pin(Streaming { body, permit, own, progress: progress.clone() })), progress)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Streaming(body) => body.as_mut().poll_frame(cx),
            Self::Again { kept, rest } => match kept.pop_front() {
                Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                None => Pin::new(&mut **rest).poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(body) => body.is_end_stream(),
            Self::Again { kept, rest } => kept.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming(body) => body.size_hint(),
            Self::Again { kept, rest } => {
                let again: u64 = kept.iter().map(|data| data.len() as u64).sum();
                let rest = rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(again));
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(again)) {
                    hint.set_upper(upper);
                }
                hint
            }
        }
    }
}

pin_project! {
    struct Streaming<B> {
        #[pin]
        body: B,
        permit: Option<Permit>,
        own: Option<Box<str>>,
        progress: Progress,
    }
}

impl<B> Body for Streaming<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut this = self.project();
        this.progress.reached(Stage::Waiting);
        let frame = match ready!(this.body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                this.progress.reached(Stage::Failed);
                return Poll::Ready(Some(Err(error.into())));
            }
            None => {
                this.progress.reached(Stage::Done);
                return Poll::Ready(None);
            }
        };
        let last = frame.is_trailers() || this.body.is_end_stream();
        this.progress.reached(if last { Stage::Done } else { Stage::Sending });
        match frame.into_trailers() {
            Ok(mut trailers) => {
                if let Some(permit) = this.permit {
                    permit.rewrite_trailers(&mut trailers);
                }
                if let Some(own) = this.own {
                    strip(&mut trailers, own);
                }
                Poll::Ready((!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers))))
            }
            Err(frame) => Poll::Ready(Some(Ok(frame))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How far a request's body has got, shared by the body and by who waits for the answer.
#[derive(Clone)]
pub(super) struct Progress(Rc<Cell<State>>);

#[derive(Clone, Copy)]
struct State {
    at: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The upstream's connection has what it asked for and takes its time.
    Sending,
    /// The upstream's connection wants more and the client has not sent it.
    Waiting,
    /// All is sent.
    Done,
    /// The client broke off.
    Failed,
}

/// What to make of an answer that has not come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Wait until then.
    Until(Instant),
    /// The upstream has had its time.
    UpstreamSlow,
    /// It is the client that has not sent its request to the end.
    ClientSlow,
}

impl Progress {
    fn new() -> Self {
        Self(Rc::new(Cell::new(State { at: Instant::now(), stage: Stage::Sending })))
    }

    fn reached(&self, stage: Stage) {
        let before = self.0.get();
        // Being polled again while still waiting is no progress.
        if stage != Stage::Waiting || before.stage != Stage::Waiting {
            self.0.set(State { at: Instant::now(), stage });
        }
    }

    /// Counts from now: the request goes out on a connection that took its time to open.
    pub(super) fn restart(&self) {
        self.0.set(State { at: Instant::now(), ..self.0.get() });
    }

    /// Whether more of the request is to come from the client.
    pub(super) fn awaits_client(&self) -> bool {
        self.0.get().stage == Stage::Waiting
    }

    /// Whether the client broke off.
    pub(super) fn failed(&self) -> bool {
        self.0.get().stage == Stage::Failed
    }

    /// The upstream has `limit` from the last thing that it was sent; so has the client for each next part.
    pub(super) fn patience(&self, limit: Duration) -> Patience {
        let State { at, stage } = self.0.get();
        let until = at + limit;
        if Instant::now() < until {
            Patience::Until(until)
        } else if stage == Stage::Waiting {
            Patience::ClientSlow
        } else {
            Patience::UpstreamSlow
        }
    }
}
