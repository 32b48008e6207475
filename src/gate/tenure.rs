//! What a request that goes on for long is held to: the credentials that its permit rests on, looked at again.

use std::sync::Arc;

use super::Gate;
use crate::model::denial::Reason;
use crate::model::settings::OnStale;
use crate::model::{Client, CredentialKind, Denial, Timestamp, Verified};

/// The credentials that a permit rests on, and when they end.
#[derive(Debug, Clone)]
pub struct Tenure {
    verified: Arc<Verified>,
    /// The certificate that had to come with it, and its own identity.
    companion: Option<Arc<Verified>>,
    /// When `verified` ends, as far as is known.
    until: Timestamp,
    /// When the first of the certificates ends that had to come with it.
    certificates_until: Timestamp,
}

impl Tenure {
    pub(in crate::gate) fn new(
        verified: &Arc<Verified>,
        companion: Option<&Arc<Verified>>,
        bound_until: Timestamp,
    ) -> Self {
        Self {
            verified: Arc::clone(verified),
            companion: companion.cloned(),
            until: verified.expires_at,
            certificates_until: companion.map_or(bound_until, |other| other.expires_at.min(bound_until)),
        }
    }

    /// The credential that names the principal.
    pub fn verified(&self) -> &Arc<Verified> {
        &self.verified
    }

    /// When it ends, as far as is known.
    pub fn ends_at(&self) -> Timestamp {
        self.until.min(self.certificates_until)
    }

    /// Whether a record says when it ends, so that its end may move and must be read again.
    pub fn is_kept(&self) -> bool {
        matches!(self.verified.kind, CredentialKind::Session | CredentialKind::ApiKey)
    }

    /// It ends then, according to its record.
    pub fn renew(&mut self, until: Timestamp) {
        self.until = until;
    }
}

/// When the certificate ends that a bound token came with (RFC 8705, section 3).
pub(in crate::gate) fn bound_until(verified: &Verified, client: &Client) -> Timestamp {
    match (&verified.bound_certificate, &client.certificate) {
        (Some(_), Some(certificate)) => certificate.not_after,
        _ => Timestamp::NEVER,
    }
}

impl Gate {
    /// Whether the credentials still count, by what is known here: revocation, time, and where `on_stale` wants it how
    /// fresh that knowledge is. Waits for nothing.
    pub fn recall(&self, tenure: &Tenure, on_stale: OnStale, now: Timestamp) -> Result<(), Denial> {
        let revocations = &self.shared.revocations;
        revocations.check(&tenure.verified, OnStale::Allow, now)?;
        if let Some(companion) = &tenure.companion {
            revocations.check(companion, OnStale::Allow, now)?;
        }
        if tenure.certificates_until <= now {
            return Err(Denial::because(Reason::CertificateNotAccepted, "the client certificate has expired"));
        }
        if tenure.until <= now {
            let kind = tenure.verified.kind;
            let detail = format!("time: {kind} ended at {}", tenure.until.as_secs());
            return Err(Denial::because(super::identity::ended(kind), detail));
        }
        revocations.check_staleness(on_stale, now)
    }

    /// Reads again when a session or an API key ends. Fails with why it has ended, or with
    /// [`Reason::StoreUnavailable`].
    pub async fn renew(&self, verified: &Verified, now: Timestamp) -> Result<Timestamp, Denial> {
        self.identities.renew(verified, now).await
    }
}

#[cfg(test)]
#[path = "tenure_tests.rs"]
mod tests;
