//! The request's body on its way to the upstream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Ended, Hold};
use crate::edge::Incoming;
use crate::proxy::body_limit::Meter;
use crate::upstream::BodyError;

/// A client's body, which breaks off when its credential has ended or when there is too much of it.
pub(in crate::proxy) struct Upload {
    body: Incoming,
    hold: Option<Hold>,
    meter: Option<Meter>,
}

impl Upload {
    pub(in crate::proxy) fn new(body: Incoming, hold: Option<&Hold>, meter: Option<&Meter>) -> Self {
        // What has no body has nothing to break off.
        let hold = if body.is_end_stream() { None } else { hold.cloned() };
        Self { body, hold, meter: meter.cloned() }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(reason) = self.hold.as_ref().and_then(Hold::ended) {
            return Poll::Ready(Some(Err(Ended(reason).into())));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(meter)) = (&polled, &self.meter)
            && let Err(exceeded) = meter.count(frame.data_ref().map_or(0, Bytes::len))
        {
            self.hold = None;
            return Poll::Ready(Some(Err(exceeded.into())));
        }
        match (&polled, &self.hold) {
            (Poll::Pending, Some(hold)) => hold.wake_upload(cx.waker()),
            (Poll::Ready(None | Some(Err(_))), _) => self.hold = None,
            _ => {}
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
