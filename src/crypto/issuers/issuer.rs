//! One issuer: its settings, the keys it has now, and how it comes by others.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;

use super::refresh::{Demand, Fetching};
use super::source::{Origin, Remote, Trust};
use crate::crypto::key::set::{KeySet, Verdict};
use crate::crypto::shown::Shown;
use crate::model::denial::Reason;
use crate::model::settings::{Algorithm, IssuerSettings};
use crate::model::{Clock, Denial, Observer, Timestamp};

pub(super) struct Issuer {
    pub(super) settings: Arc<IssuerSettings>,
    pub(super) keys: ArcSwapOption<Held>,
    /// `None`: the keys came from a file or the configuration and stay.
    pub(super) remote: Option<Remote>,
    pub(super) fetching: Mutex<Fetching>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: Arc<dyn Observer>,
}

/// Keys, and until when they may be used.
pub(super) struct Held {
    pub(super) set: KeySet,
    pub(super) fetched_at: Timestamp,
    pub(super) until: Timestamp,
}

impl Held {
    fn for_ever(set: KeySet) -> Self {
        Self { set, fetched_at: Timestamp::default(), until: Timestamp::NEVER }
    }
}

impl Issuer {
    pub(super) fn new(
        settings: Arc<IssuerSettings>,
        trust: &mut Trust,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, String> {
        let (keys, remote) = match Origin::open(&settings, trust)? {
            Origin::Local(set) => (Some(Arc::new(Held::for_ever(set))), None),
            Origin::Remote(remote) => (None, Some(remote)),
        };
        let fetching = Mutex::default();
        Ok(Self { settings, keys: ArcSwapOption::new(keys), remote, fetching, clock, observer })
    }

    pub(super) fn settings(&self) -> &Arc<IssuerSettings> {
        &self.settings
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    pub(super) fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// Whether the keys of this one, fetched as they are, would be those of the other.
    pub(super) fn has_keys_of(&self, other: &Self) -> bool {
        let (own, others) = (&self.settings, &other.settings);
        let alike = own.issuer == others.issuer && own.keys == others.keys && own.algorithms == others.algorithms;
        match (&self.remote, &other.remote) {
            (Some(own), Some(others)) => alike && own.trusts_like(others),
            _ => false,
        }
    }

    /// Begins with the keys of another.
    pub(super) fn take_over(&self, from: &Self) {
        self.keys.store(from.keys.load_full());
        self.take_over_fetches(from);
    }

    /// Whether it never had any keys.
    pub(super) fn has_none(&self) -> bool {
        self.keys.load().is_none()
    }

    pub(super) fn has_key(&self, thumbprint: &[u8; 32], now: Timestamp) -> bool {
        self.keys.load().as_ref().is_some_and(|held| now < held.until && held.set.has(thumbprint))
    }

    /// The thumbprint of the key that made `signature`. Where other keys could say otherwise they are fetched again (if
    /// they may be), and it is tried once more.
    pub(super) async fn prove(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
        now: Timestamp,
    ) -> Result<[u8; 32], Denial> {
        let judge = |keys: &Option<Arc<Held>>| {
            let usable = keys.as_ref().filter(|held| now < held.until);
            usable.map(|held| held.set.judge(kid, algorithm, message, signature))
        };
        let mut keys = self.keys.load_full();
        let mut verdict = judge(&keys);
        // Twice at most: the second fetch that a token waits for began after it came.
        for _ in 0..2 {
            if !matches!(verdict, None | Some(Verdict::Unknown | Verdict::Undecided)) {
                break;
            }
            // Boxed because few come here, and everybody's future would have the room for it.
            let demand = Box::pin(self.fetch_on_demand()).await;
            // Also where nothing was fetched: somebody else's fetch may have ended since.
            let newer = self.keys.load_full();
            if newer.as_ref().map(Arc::as_ptr) != keys.as_ref().map(Arc::as_ptr) {
                verdict = judge(&newer);
                keys = newer;
            }
            if demand != Demand::Joined {
                break;
            }
        }
        let (name, alg) = (self.name(), algorithm.name());
        let kid = Shown(kid.unwrap_or("none"));
        let denial = match verdict {
            Some(Verdict::Verified(thumbprint)) => return Ok(thumbprint),
            Some(Verdict::Refused | Verdict::Undecided) => Denial::because(
                Reason::TokenSignature,
                format!("signature: kid {kid}, {alg}, no key of issuer.{name} made it"),
            ),
            Some(Verdict::Misfit) => Denial::because(
                Reason::TokenAlgorithm,
                format!("alg: token has {alg}, key {kid} of issuer.{name} is for another"),
            ),
            Some(Verdict::Unknown) => Denial::because(
                Reason::TokenKeyUnknown,
                format!("kid: token has {kid} ({alg}), issuer.{name} has no such key"),
            ),
            None => {
                Denial::because(Reason::KeysUnavailable, format!("keys: issuer.{name} has none that may be used now"))
            }
        };
        match &self.remote {
            Some(remote) if denial.reason == Reason::KeysUnavailable => {
                Err(denial.retry_after(remote.jwks.min_interval))
            }
            _ => Err(denial),
        }
    }
}
