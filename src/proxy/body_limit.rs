//! How much of a request's body a route takes.

use std::cell::Cell;
use std::rc::Rc;

use http_body::Body;

use crate::model::Denial;
use crate::model::denial::Reason;

/// Counts a body that did not say how long it is; shared by the body and by who waits for the answer to it.
#[derive(Clone)]
pub(super) struct Meter(Rc<State>);

struct State {
    max: u64,
    left: Cell<u64>,
    exceeded: Cell<bool>,
}

/// What a body says that breaks off because there is too much of it.
#[derive(Debug, thiserror::Error)]
#[error("the body is larger than the route takes")]
pub(super) struct Exceeded;

/// Looks at a body that has not been read yet: one that says that it is too large is refused at once; `Some` is for one
/// that does not say. How long a body is said to be is what its framing goes by, so that it cannot be longer.
pub(super) fn admit<B: Body>(body: &B, max: Option<u64>) -> Result<Option<Meter>, Denial> {
    let Some(max) = max else { return Ok(None) };
    let said = body.size_hint();
    if said.lower() > max {
        return Err(too_large(max));
    }
    let counted = !body.is_end_stream() && said.exact().is_none();
    Ok(counted.then(|| Meter(Rc::new(State { max, left: Cell::new(max), exceeded: Cell::new(false) }))))
}

impl Meter {
    /// Counts what is about to go on, which it does not if it is too much.
    pub(super) fn count(&self, bytes: usize) -> Result<(), Exceeded> {
        let left = u64::try_from(bytes).ok().and_then(|bytes| self.0.left.get().checked_sub(bytes));
        match left.filter(|_| !self.0.exceeded.get()) {
            Some(left) => {
                self.0.left.set(left);
                Ok(())
            }
            None => {
                self.0.exceeded.set(true);
                Err(Exceeded)
            }
        }
    }

    /// The denial, once there has been too much.
    pub(super) fn denial(&self) -> Option<Denial> {
        self.0.exceeded.get().then(|| too_large(self.0.max))
    }
}

fn too_large(max: u64) -> Denial {
    Denial::because(Reason::BodyTooLarge, format!("more than max_body, {max} bytes"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{Empty, Full, StreamBody};

    use super::*;

    #[test]
    fn f61_a_body_is_held_to_what_it_says_or_counted() {
        let sized = |length: usize| Full::new(Bytes::from(vec![0; length]));
        assert!(matches!(admit(&sized(10), Some(10)), Ok(None)));
        assert_eq!(admit(&sized(11), Some(10)).err().map(|denial| denial.reason), Some(Reason::BodyTooLarge));
        assert!(matches!(admit(&sized(1 << 20), None), Ok(None)));
        assert!(matches!(admit(&Empty::<Bytes>::new(), Some(0)), Ok(None)));
        let unsized_body = || {
            StreamBody::new(futures_util::stream::empty::<Result<http_body::Frame<Bytes>, std::convert::Infallible>>())
        };
        assert!(matches!(admit(&unsized_body(), None), Ok(None)));
        let meter = admit(&unsized_body(), Some(10)).ok().flatten().expect("counted");
        assert!(meter.count(4).is_ok() && meter.count(6).is_ok() && meter.count(0).is_ok());
        assert!(meter.denial().is_none());
        assert!(meter.clone().count(1).is_err());
        assert!(meter.count(0).is_err(), "too much stays too much");
        assert_eq!(meter.denial().map(|denial| denial.reason), Some(Reason::BodyTooLarge));
    }
}
