//! What all workers share under one configuration. What must outlive it is handed on to the next.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::GateError;
use super::identity::{Cache, Passwords};
use super::limit::Limits;
use super::proof::Instance;
use super::revocation::RevocationSet;
use crate::crypto::{Introspector, Issuers};
use crate::model::settings::Settings;
use crate::model::{Clock, Entropy};
use crate::telemetry::Metrics;

/// How many verified credentials are kept; the memory is taken as they come.
const CACHED_CREDENTIALS: u64 = 100_000;
/// And this much memory for them, about: whoever can make an issuer sign large tokens must not fill ours.
const CACHED_BYTES: u64 = 128 << 20;

/// What all workers share.
pub struct Shared {
    /// Issuers and their keys.
    pub issuers: Arc<Issuers>,
    /// What opaque tokens mean; `None` where none are accepted.
    pub introspector: Option<Arc<Introspector>>,
    /// Who may log in with a password; `None` where nobody may.
    pub passwords: Option<Arc<Passwords>>,
    /// Verified credentials.
    pub cache: Cache,
    /// What is revoked.
    pub revocations: Arc<RevocationSet>,
    /// What this process knows of DPoP proofs.
    pub proofs: Arc<Instance>,
    /// Counters of limits.
    pub limits: Limits,
    /// Whether an operator has switched the whole instance to maintenance.
    pub maintenance: Arc<AtomicBool>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Shared {
    /// For the first configuration of the process. Reads key files, secrets and password files.
    pub fn new(
        settings: &Settings,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, GateError> {
        Ok(Self {
            issuers: Arc::new(Issuers::new(&settings.issuers, clock.clone(), metrics.clone()).map_err(told)?),
            introspector: introspector(settings, &clock)?,
            passwords: passwords(settings, &*entropy)?,
            cache: Cache::new(CACHED_CREDENTIALS, CACHED_BYTES),
            revocations: Arc::new(RevocationSet::new(settings.max_staleness)),
            proofs: Arc::new(Instance::new(&settings.dpop, &*entropy)),
            limits: Limits::new(&settings.limits, clock.clone()),
            maintenance: Arc::default(),
            metrics,
            clock,
            entropy,
        })
    }

    /// For the configuration that is to follow `old`, whose own this is. Reads all files anew.
    ///
    /// What is revoked, the proofs that were used, the counters of limits that stay the same and the keys of issuers that
    /// stay the same live on. Verified credentials do as well, unless anything that verifies them has changed: then what
    /// was found before counts for the gates of before alone. Changes nothing for those.
    pub fn renewed(&self, old: &Settings, new: &Settings) -> Result<Self, GateError> {
        let Self { cache, revocations, proofs, maintenance, metrics, clock, entropy, .. } = self;
        let issuers = self.issuers.renewed(&new.issuers, clock.clone(), metrics.clone()).map_err(told)?;
        let (introspector, passwords) = (introspector(new, clock)?, passwords(new, &**entropy)?);
        if !same_verifiers(old, new) {
            cache.next_verifiers();
        }
        Ok(Self {
            issuers: Arc::new(issuers),
            introspector,
            passwords,
            cache: cache.clone(),
            revocations: revocations.clone(),
            proofs: proofs.clone(),
            limits: self.limits.renewed(&new.limits, clock.clone()),
            maintenance: maintenance.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        })
    }

    /// These settings are in force from now on, also where what lives on goes by them.
    pub fn adopt(&self, settings: &Settings) {
        self.revocations.set_max_staleness(settings.max_staleness);
        self.proofs.remember_at_most(settings.dpop.max_remembered);
    }
}

/// Whether the same credentials are good under both, and mean the same. Keys and passwords are seen to elsewhere: what
/// rests on a key counts as long as the issuer has it, and passwords that were read anew are cached apart.
fn same_verifiers(old: &Settings, new: &Settings) -> bool {
    old.issuers == new.issuers
        && old.opaque == new.opaque
        && old.basic == new.basic
        && old.api_key == new.api_key
        && old.session == new.session
        && old.mtls == new.mtls
}

fn introspector(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Introspector>>, GateError> {
    let introspector = settings.opaque.as_ref().map(|opaque| Introspector::new(opaque, clock.clone())).transpose();
    introspector.map(|found| found.map(Arc::new)).map_err(told)
}

fn passwords(settings: &Settings, entropy: &dyn Entropy) -> Result<Option<Arc<Passwords>>, GateError> {
    let passwords = settings.basic.as_ref().map(|basic| Passwords::open(basic, entropy)).transpose();
    passwords.map(|found| found.map(Arc::new)).map_err(told)
}

fn told(problem: impl std::fmt::Display) -> GateError {
    GateError(problem.to_string())
}
