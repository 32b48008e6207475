//! One request on a connection that it shares, and its answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};

use super::super::interim::Interim;
use super::super::request::RequestBody;
use super::outgoing::Outgoing;

/// An answer that is waited for. Dropped, its stream is reset, and the connection stays for the others.
pub(in super::super) struct Answer {
    /// Polled until it is ready.
    future: ResponseFuture,
    outgoing: Option<Outgoing>,
    interim: Option<Interim>,
    begun: bool,
}

/// What an answer that does not come means for its request.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Broken {
    /// The upstream says that it has not looked at it (RFC 9113, section 8.7): any request may be sent again.
    Unprocessed,
    /// The connection was lost before anything of an answer came.
    Lost,
    /// The upstream may have acted on it, or has begun to answer.
    Final,
}

impl Answer {
    /// Sends a request.
    pub(in super::super) fn to(
        sender: &mut SendRequest<Bytes>,
        mut head: Request<()>,
        body: RequestBody,
    ) -> Result<Self, h2::Error> {
        let interim = head.extensions_mut().remove();
        let whole = body.is_end_stream();
        let (future, stream) = sender.send_request(head, whole)?;
        let outgoing = (!whole).then(|| Outgoing::start(body, stream));
        Ok(Self { future, outgoing, interim, begun: false })
    }

    /// What an error means.
    pub(in super::super) fn broken_by(&self, error: &h2::Error) -> Broken {
        // Errors of GOAWAY are those of streams above the last one that it names; those below end as the connection does.
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        if error.is_remote() && (refused || error.is_go_away()) {
            Broken::Unprocessed
        } else if error.is_io() && !self.begun {
            Broken::Lost
        } else {
            Broken::Final
        }
    }

    /// The request's body from its beginning, if it can be had again.
    pub(in super::super) fn take_back(&mut self) -> Option<RequestBody> {
        match &mut self.outgoing {
            None => Some(RequestBody::Empty),
            Some(outgoing) => outgoing.take_back(),
        }
    }

    /// What of the request is still to be sent while its answer is read.
    pub(in super::super) fn into_outgoing(self) -> Option<Outgoing> {
        if let Some(outgoing) = &self.outgoing {
            outgoing.keep_no_more();
        }
        self.outgoing
    }
}

impl Future for Answer {
    type Output = Result<Response<RecvStream>, h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Interim answers (1xx) are the beginning of an answer, too.
        while let Poll::Ready(Some(Ok(answer))) = self.future.poll_informational(cx) {
            self.begun = true;
            if let Some(interim) = &self.interim {
                interim.tell(answer.status(), answer.headers());
            }
        }
        Pin::new(&mut self.future).poll(cx)
    }
}

/// The body of an answer. The upstream may send as much more of it as is taken from here.
pub(in super::super) struct IncomingStream {
    stream: RecvStream,
    /// What is left of a stated length.
    left: Option<u64>,
    /// Kept, so that what is left of the request goes on being sent.
    _outgoing: Option<Outgoing>,
}

impl IncomingStream {
    pub(in super::super) fn new(answer: Response<RecvStream>, outgoing: Option<Outgoing>) -> Response<Self> {
        // What it says is held against what comes, and against a second value, by `h2`.
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        answer.map(|stream| {
            let left = if stream.is_end_stream() { Some(0) } else { length };
            Self { stream, left, _outgoing: outgoing }
        })
    }
}

impl Body for IncomingStream {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = &mut *self;
        match ready!(this.stream.poll_data(cx)) {
            Some(Ok(data)) => {
                // Of a stream that is over there is nothing to release.
                let _ = this.stream.flow_control().release_capacity(data.len());
                this.left = this.left.map(|left| left.saturating_sub(data.len() as u64));
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => Poll::Ready(ready!(this.stream.poll_trailers(cx))?.map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
