//! Part of stage 4: whoever presents a token that is bound to a key holds that key (DPoP, RFC 9449).
//!
//! What the cache knows of a token says nothing of who sends it, so each request brings a proof of its own, and each proof
//! counts once. Where instances remember used proofs apart, a proof must contain a nonce of the instance, and is worth
//! nothing anywhere else, nor after a restart.

mod seen;
mod url;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use self::seen::{Seen, Use};
use super::credential::{Carrier, Presented};
use super::route::Host;
use super::{CheckRequest, Shared};
use crate::crypto::dpop::{self, Nonces, Proof, Wanted};
use crate::model::denial::Reason;
use crate::model::settings::{DpopSettings, ReplayScope};
use crate::model::{Denial, Entropy, Verified};
use crate::store::Replays;
use crate::telemetry::ProofOutcome;

/// Carries the proof.
pub(in crate::gate) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Carries the nonce to use (RFC 9449, section 8).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Used proofs are kept for so much longer in the store, where the clocks of instances may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// When to come back, where a proof could not be looked up.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What this process alone knows: the key of its nonces, and the proofs that were used here. All workers share it.
pub struct Instance {
    nonces: Nonces,
    seen: Seen,
}

impl Instance {
    /// With a key of its own and no proof seen.
    pub fn new(settings: &DpopSettings, entropy: &dyn Entropy) -> Self {
        Self { nonces: Nonces::new(entropy), seen: Seen::at_most(settings.max_remembered) }
    }

    /// So many used proofs are remembered from now on.
    pub fn remember_at_most(&self, most: usize) {
        self.seen.hold_at_most(most);
    }
}

/// The stage.
pub(in crate::gate) struct Prover {
    settings: DpopSettings,
    replays: Arc<dyn Replays>,
    shared: Arc<Shared>,
}

/// A verified credential, how it was presented, and the request that it came with.
pub(in crate::gate) struct Asked<'a> {
    pub(in crate::gate) verified: &'a Verified,
    pub(in crate::gate) presented: Presented<'a>,
    pub(in crate::gate) carrier: Carrier,
    pub(in crate::gate) request: &'a CheckRequest<'a>,
    pub(in crate::gate) host: &'a Host<'a>,
    /// Time that passes evenly, for what only this process must understand.
    pub(in crate::gate) elapsed: Duration,
}

impl Prover {
    pub(in crate::gate) fn new(settings: &DpopSettings, replays: Arc<dyn Replays>, shared: Arc<Shared>) -> Self {
        Self { settings: settings.clone(), replays, shared }
    }

    /// Wants a proof where the credential is bound to a key, and none where it is not. Returns the nonce to use from now
    /// on where the one that was used is about to end.
    pub(in crate::gate) async fn check(&self, asked: &Asked<'_>) -> Result<Option<HeaderValue>, Denial> {
        let key = match (&asked.verified.bound_key, asked.carrier == Carrier::Dpop) {
            (None, false) => return Ok(None),
            (Some(key), true) => key,
            (None, true) => {
                let detail = "presented by DPoP, but bound to no key: a proof would prove nothing";
                return Err(Denial::because(Reason::TokenBinding, detail));
            }
            (Some(_), false) => {
                let detail = "bound to a key (cnf jkt), but not presented by DPoP with a proof";
                return Err(Denial::because(Reason::TokenBinding, detail));
            }
        };
        let outcome = self.prove(asked, key).await;
        self.shared.metrics.proof(match &outcome {
            Ok(_) => ProofOutcome::Accepted,
            Err(denial) => match denial.reason {
                Reason::ProofNonce => ProofOutcome::NonceWanted,
                Reason::ProofReplayed => ProofOutcome::Replayed,
                Reason::ProofInvalid => ProofOutcome::Invalid,
                _ => ProofOutcome::Undecided,
            },
        });
        outcome
    }

    /// The proof itself, then whether it is for this request, then of when it is, and last whether it was used before:
    /// only what is good in every other way is remembered.
    async fn prove(&self, asked: &Asked<'_>, key: &[u8; 32]) -> Result<Option<HeaderValue>, Denial> {
        let token = asked.presented.token().ok_or_else(|| invalid("it comes with what is no token"))?;
        let wanted = Wanted { algorithms: &self.settings.algorithms, key, token };
        let proof = dpop::verify(sole(asked.request)?, &wanted)?;
        if proof.method != asked.request.method.as_str() {
            return Err(invalid("htm: it is for another method"));
        }
        if !url::is_of(&proof.url, asked.request, asked.host) {
            return Err(invalid("htu: it is for another URI than that of the request"));
        }
        self.check_optional_dates(&proof, asked)?;
        let fresh = if self.settings.nonce { self.by_nonce(&proof, asked)? } else { self.by_clock(&proof, asked)? };
        self.use_up(&proof, &fresh, asked.elapsed).await?;
        Ok(fresh.offer)
    }

    /// `exp` and `nbf`, which no proof needs, mean what they always do (RFC 7519, section 4.1).
    fn check_optional_dates(&self, proof: &Proof, asked: &Asked<'_>) -> Result<(), Denial> {
        let (now, leeway) = (asked.request.now, self.settings.leeway);
        if proof.expires_at.is_some_and(|expires| now >= expires.after(leeway)) {
            return Err(invalid("exp: it has expired"));
        }
        if proof.not_before.is_some_and(|begins| now < begins.before(leeway)) {
            return Err(invalid("nbf: it is not valid yet"));
        }
        Ok(())
    }

    /// RFC 9449, section 9. What the client's clock says does not matter then.
    fn by_nonce(&self, proof: &Proof, asked: &Asked<'_>) -> Result<Fresh, Denial> {
        let Instance { nonces, .. } = &*self.shared.proofs;
        let (max_age, elapsed) = (self.settings.max_age, asked.elapsed);
        let wanted = |detail: String| Denial {
            nonce: Some(nonces.issue(elapsed).into()),
            ..Denial::because(Reason::ProofNonce, detail)
        };
        let nonce = proof.nonce.as_deref().ok_or_else(|| wanted("nonce: the proof has none".to_owned()))?;
        let issued = nonces.check(nonce, max_age, elapsed).map_err(|problem| wanted(format!("nonce: {problem}")))?;
        let is_old = elapsed.saturating_sub(issued) >= max_age / 2;
        let offer = is_old.then(|| HeaderValue::try_from(nonces.issue(elapsed)).ok()).flatten();
        Ok(Fresh { until: issued.saturating_add(max_age), offer })
    }

    /// RFC 9449, section 11.1.
    fn by_clock(&self, proof: &Proof, asked: &Asked<'_>) -> Result<Fresh, Denial> {
        let (now, DpopSettings { max_age, leeway, .. }) = (asked.request.now, &self.settings);
        let differs = || format!("iat: it has {}, it is {}", proof.issued_at.as_secs(), now.as_secs());
        if proof.issued_at > now.after(*leeway) {
            return Err(invalid(differs() + ", which lies ahead"));
        }
        let end = proof.issued_at.after(*max_age);
        if now >= end {
            return Err(invalid(format!("{}, older than {max_age:?}", differs())));
        }
        Ok(Fresh { until: asked.elapsed.saturating_add(end.since(now)), offer: None })
    }

    async fn use_up(&self, proof: &Proof, fresh: &Fresh, elapsed: Duration) -> Result<(), Denial> {
        let first = match self.settings.replay {
            ReplayScope::Instance => match self.shared.proofs.seen.first_use(&proof.digest, fresh.until, elapsed) {
                Use::First => true,
                Use::Repeated => false,
                Use::NoRoom => {
                    let detail = format!("{} used proofs are remembered", self.settings.max_remembered);
                    return Err(Denial::because(Reason::ProofsFull, detail).retry_after(RETRY_AFTER));
                }
            },
            ReplayScope::Shared => {
                let keep = fresh.until.saturating_sub(elapsed).saturating_add(CLOCKS_DIFFER);
                self.replays.first_use(&proof.digest, keep).await.map_err(|problem| {
                    Denial::because(Reason::StoreUnavailable, problem.to_string()).retry_after(RETRY_AFTER)
                })?
            }
        };
        if first { Ok(()) } else { Err(Denial::because(Reason::ProofReplayed, "jti: it was used before")) }
    }
}

/// A proof of the present.
struct Fresh {
    /// Until when it would be taken, and so must be remembered; as [`Asked::elapsed`].
    until: Duration,
    offer: Option<HeaderValue>,
}

/// The one `DPoP` header (RFC 9449, section 4.3, check 1).
fn sole<'a>(request: &CheckRequest<'a>) -> Result<&'a str, Denial> {
    let mut values = request.headers.get_all(DPOP).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| invalid("it is no text")),
        (None, _) => Err(invalid("there is none")),
        (Some(_), Some(_)) => Err(invalid("there are several")),
    }
}

fn invalid(detail: impl Into<Box<str>>) -> Denial {
    Denial::because(Reason::ProofInvalid, detail)
}

#[cfg(test)]
mod tests;
