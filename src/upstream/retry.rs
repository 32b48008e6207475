//! What may be sent again, and how often.

use std::cell::Cell;

use http::Request;
use tokio::time::Instant;

use super::interim;
use super::request::RequestBody;
use crate::model::settings::Retries;

/// One try, in the units of a budget.
const TRY: u32 = 100;
/// Tries that are always there after a quiet time, one for each second of it.
const RESERVE: u32 = 10 * TRY;
/// Most that a busy time saves up.
const MOST: u32 = 100 * TRY;

/// The request once more, where a second one does nothing that the first has not done (RFC 9110, section 9.2.2) and
/// no body is gone with the first.
pub(super) fn copy_of(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    if !request.method().is_idempotent() || !matches!(request.body(), RequestBody::Empty) {
        return None;
    }
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    interim::copy(request, &mut copy);
    Some(copy)
}

/// How many further tries one worker's requests may take, so that endpoints that fail are not given their failures
/// several times over: a share of the requests, and a reserve for quiet times.
pub(super) struct Budget {
    settings: Retries,
    saved: Cell<u32>,
    refilled: Cell<Instant>,
}

impl Budget {
    pub(super) fn new(settings: Retries) -> Self {
        Self { settings, saved: Cell::new(RESERVE), refilled: Cell::new(Instant::now()) }
    }

    /// What one request may take of it; the request adds its share.
    pub(super) fn attempts(&self) -> Attempts<'_> {
        self.saved.set(self.saved.get().saturating_add(self.settings.budget_percent).min(MOST));
        Attempts { budget: self, left: self.settings.attempts }
    }

    /// Whether anything that was sent may be sent again.
    pub(super) fn allows_resend(&self) -> bool {
        self.settings.attempts > 0
    }

    /// Takes one try, if there is one at `now`.
    pub(super) fn spend(&self, now: Instant) -> bool {
        self.refill(now);
        let left = self.saved.get().checked_sub(TRY);
        if let Some(left) = left {
            self.saved.set(left);
        }
        left.is_some()
    }

    fn refill(&self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled.get()).as_secs();
        if seconds > 0 {
            self.refilled.set(now);
            let more = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(TRY);
            let saved = self.saved.get();
            self.saved.set(saved.max(saved.saturating_add(more).min(RESERVE)));
        }
    }
}

/// The further tries of one request.
pub(super) struct Attempts<'a> {
    budget: &'a Budget,
    left: u32,
}

impl Attempts<'_> {
    /// Takes one more.
    pub(super) fn another(&mut self) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        self.budget.spend(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tries_are_a_share_of_the_requests_beyond_a_reserve() {
        let budget = Budget::new(Retries { attempts: 1, budget_percent: 20 });
        let start = Instant::now();
        let taken = |requests: u32, seconds: u64| {
            let now = start + Duration::from_secs(seconds);
            (0..requests).filter(|_| budget.attempts().left == 1 && budget.spend(now)).count()
        };
        let first = taken(1000, 0);
        assert!((209..=211).contains(&first), "{first}");
        assert_eq!(taken(1000, 0), 200);
        while budget.spend(start) {}
        let later = |seconds| (0..100).filter(|_| budget.spend(start + Duration::from_secs(seconds))).count();
        assert_eq!((later(3), later(3), later(4)), (3, 0, 1));
        assert_eq!((later(3600), later(3600)), (10, 0), "no more than the reserve comes by waiting");
    }

    #[test]
    fn a_request_has_its_own_number_of_tries() {
        let budget = Budget::new(Retries { attempts: 2, budget_percent: 100 });
        let mut attempts = budget.attempts();
        assert_eq!([(); 3].map(|()| attempts.another()), [true, true, false]);
        assert!(!Budget::new(Retries { attempts: 0, budget_percent: 100 }).attempts().another());
    }

    #[test]
    fn only_what_is_idempotent_and_whole_may_go_out_again() {
        let with = |method: &str| {
            let request = Request::builder().method(method).uri("/a?b").header("x", "1").body(RequestBody::Empty);
            copy_of(&request.unwrap())
        };
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            let copy = with(method).unwrap();
            assert_eq!(
                (copy.method().as_str(), copy.uri().to_string(), copy.headers().len()),
                (method, "/a?b".into(), 1)
            );
        }
        for method in ["POST", "PATCH", "MADEUP"] {
            assert!(with(method).is_none());
        }
    }
}
