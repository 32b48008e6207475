//! Bodies of answers.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::denial::grpc_message;
use super::live::{Ended, Hold};
use super::stall::Patient;
use crate::model::denial::Reason;
use crate::upstream::{BodyError, ResponseBody};

/// The body of an answer: our own bytes, or an upstream's stream. Nothing is boxed on the way but what has a clock.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Own(Option<Bytes>),
    Upstream(ResponseBody),
    Held(ResponseBody, Hold, Farewell),
    Patient(Box<Patient>),
}

/// How a body ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// It breaks off: HTTP/1.1 closes the connection without the last chunk, HTTP/2 resets the stream.
    BreakOff,
    /// With the status of gRPC, in trailers.
    Grpc,
}

impl Body {
    /// Nothing.
    pub const fn empty() -> Self {
        Self(Kind::Own(None))
    }

    /// These bytes.
    pub fn full(bytes: Bytes) -> Self {
        Self(Kind::Own((!bytes.is_empty()).then_some(bytes)))
    }
}

impl Body {
    /// An upstream's stream that ends with the credential that holds it.
    pub(super) fn held(body: ResponseBody, hold: Option<Hold>, farewell: Farewell) -> Self {
        match hold {
            // What is complete already has nothing to end.
            Some(hold) if !http_body::Body::is_end_stream(&body) => Self(Kind::Held(body, hold, farewell)),
            _ => Self::from(body),
        }
    }

    /// The same, its upstream having so long for each next part.
    pub(super) fn within(self, idle: Option<Duration>, farewell: Farewell) -> Self {
        match idle {
            Some(idle) if !http_body::Body::is_end_stream(&self) => {
                Self(Kind::Patient(Box::new(Patient::new(self, idle, farewell))))
            }
            _ => self,
        }
    }
}

impl From<ResponseBody> for Body {
    fn from(body: ResponseBody) -> Self {
        Self(Kind::Upstream(body))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (reason, farewell) = match &mut self.0 {
            Kind::Own(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Upstream(body) => return Pin::new(body).poll_frame(cx),
            Kind::Patient(patient) => return patient.poll_frame(cx),
            Kind::Held(body, hold, farewell) => match hold.ended() {
                Some(reason) => (reason, *farewell),
                None => {
                    let polled = Pin::new(body).poll_frame(cx);
                    if polled.is_pending() {
                        hold.wake_answer(cx.waker());
                    }
                    return polled;
                }
            },
        };
        // Dropping an upstream's body before its end closes that connection.
        self.0 = Kind::Own(None);
        Poll::Ready(Some(match farewell {
            Farewell::BreakOff => Err(Ended(reason).into()),
            Farewell::Grpc => Ok(Frame::trailers(grpc_trailers(reason))),
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Own(bytes) => bytes.is_none(),
            Kind::Upstream(body) | Kind::Held(body, ..) => body.is_end_stream(),
            Kind::Patient(patient) => patient.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Upstream(body) | Kind::Held(body, ..) => body.size_hint(),
            Kind::Patient(patient) => patient.size_hint(),
        }
    }
}

/// The status of gRPC, and what it means.
pub(super) fn grpc_trailers(reason: Reason) -> HeaderMap {
    let row = reason.row();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", u16::from(row.grpc).into());
    trailers.insert("grpc-message", grpc_message(row.title));
    trailers
}
