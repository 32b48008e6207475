//! Why a request that was sent has no answer.

use http::Request;

use super::request::RequestBody;
use super::slot::Slot;
use crate::model::Denial;
use crate::model::denial::Reason;

/// Why there is no answer.
pub(super) enum Failure {
    /// Not a byte of the request went out: it may go elsewhere.
    Unsent(Box<Request<RequestBody>>, String),
    /// It was written, and the connection ended without a byte of an answer. The request, where it may be sent again.
    Unanswered(Option<Box<Request<RequestBody>>>, Denial),
    /// The upstream says that it has not looked at it: it may go elsewhere.
    Unprocessed(Box<Request<RequestBody>>, Denial),
    /// The upstream may have acted on it, or has begun to answer: it must not get it twice.
    Final(Denial),
}

pub(super) fn failed(slot: &Slot, why: &dyn std::fmt::Display) -> Denial {
    Denial::because(Reason::UpstreamFailed, format!("{}: {why}", slot.pool()))
}

pub(super) fn broke_off() -> Failure {
    Failure::Final(Denial::because(Reason::BodyIncomplete, "the client broke off its request"))
}
