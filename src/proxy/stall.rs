//! Answers that send nothing for longer than their route bears.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::Body;
use super::body::{Farewell, grpc_trailers};
use crate::model::denial::Reason;
use crate::upstream::BodyError;

/// An answer whose upstream has so long for each next part. The time that a client takes to read does not count: what
/// has come in the meantime is found first.
#[derive(Debug)]
pub(super) struct Patient {
    body: Body,
    limit: Duration,
    farewell: Farewell,
    alarm: Pin<Box<Sleep>>,
    armed: bool,
}

/// What an answer says that breaks off because nothing came.
#[derive(Debug, thiserror::Error)]
#[error("the upstream sent nothing for {0:?}")]
struct Stalled(Duration);

impl Patient {
    pub(super) fn new(body: Body, limit: Duration, farewell: Farewell) -> Self {
        Self { body, limit, farewell, alarm: Box::pin(tokio::time::sleep(limit)), armed: false }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.armed = false;
            return polled;
        }
        if !self.armed {
            self.armed = true;
            self.alarm.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.alarm.as_mut().poll(cx));
        tracing::warn!(limit = ?self.limit, "an answer was broken off: the upstream sent nothing for stream_idle");
        // Dropping an upstream's body before its end closes that connection.
        self.body = Body::empty();
        Poll::Ready(Some(match self.farewell {
            Farewell::BreakOff => Err(Stalled(self.limit).into()),
            Farewell::Grpc => Ok(Frame::trailers(grpc_trailers(Reason::UpstreamTimeout))),
        }))
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
