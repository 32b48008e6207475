//! The body of a request, whatever version it comes in.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};

use super::http2::Stream;
use super::tunnel::Pledge;

/// The body of a request, as it comes from the client, who may send as much more of it as is taken from here. The first
/// time that more is wanted than has come, a client that waits for leave to send it (`Expect: 100-continue`) has it.
pub struct Incoming(Kind);

enum Kind {
    Empty,
    Http1(hyper::body::Incoming),
    Http2(Received),
    /// Of a `CONNECT`: what follows it is the tunnel's, if there will be one.
    Connect(Option<Pledge>),
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BrokenBody {
    /// Of HTTP/1.1.
    #[error(transparent)]
    Http1(hyper::Error),
    /// Of HTTP/2.
    #[error(transparent)]
    Http2(h2::Error),
}

struct Received {
    stream: RecvStream,
    /// What is left of a stated length, which `h2` holds against what comes.
    left: Option<u64>,
    /// Whose client waits for leave to send it.
    expects: Option<Rc<Stream>>,
}

impl Incoming {
    pub(super) fn http1(body: hyper::body::Incoming) -> Self {
        Self(Kind::Http1(body))
    }

    /// `length`: what the request states; `expects`: where its client waits for leave.
    pub(super) fn http2(stream: RecvStream, length: Option<u64>, expects: Option<Rc<Stream>>) -> Self {
        if stream.is_end_stream() {
            return Self(Kind::Empty);
        }
        Self(Kind::Http2(Received { stream, left: length, expects }))
    }

    pub(super) fn connect(pledge: Pledge) -> Self {
        Self(Kind::Connect(Some(pledge)))
    }

    /// What the edge has promised to whoever answers a `CONNECT`.
    pub(super) fn take_pledge(&mut self) -> Option<Pledge> {
        match &mut self.0 {
            Kind::Connect(pledge) => pledge.take(),
            _ => None,
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match &mut self.0 {
            Kind::Empty | Kind::Connect(_) => Poll::Ready(None),
            Kind::Http1(body) => Pin::new(body).poll_frame(cx).map_err(BrokenBody::Http1),
            Kind::Http2(received) => received.poll_frame(cx).map_err(BrokenBody::Http2),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Connect(_) => true,
            Kind::Http1(body) => body.is_end_stream(),
            Kind::Http2(received) => received.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Connect(_) => SizeHint::with_exact(0),
            Kind::Http1(body) => body.size_hint(),
            Kind::Http2(received) => received.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Received {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let polled = self.stream.poll_data(cx);
        if let Some(stream) = self.expects.take()
            && polled.is_pending()
        {
            stream.want_body();
        }
        match ready!(polled) {
            Some(Ok(data)) => {
                // Of a stream that is over there is nothing to release.
                let _ = self.stream.flow_control().release_capacity(data.len());
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            // Whatever the code: a client that resets its request has not sent it to the end.
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => Poll::Ready(ready!(self.stream.poll_trailers(cx))?.map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Incoming")
    }
}
