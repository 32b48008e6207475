//! What a request that goes on for long is held to: the credentials that its permit rests on, looked at again.

use std::sync::Arc;
use std::time::Duration;

use super::Gate;
use crate::model::denial::Reason;
use crate::model::settings::OnStale;
use crate::model::{Client, CredentialKind, Denial, Secret, Timestamp, Verified};

/// Like the records of cached credentials.
const OWN_EVERY: Duration = Duration::from_secs(60);

/// Requests ask every second; for streams that may be thousands this has to do.
const FOREIGN_EVERY: Duration = Duration::from_secs(5);

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
    /// The cookie of a session that the application keeps: nothing else leads to its record.
    cookie: Option<Arc<Secret<String>>>,
}

impl Tenure {
    pub(in crate::gate) fn new(
        verified: &Arc<Verified>,
        companion: Option<&Arc<Verified>>,
        bound_until: Timestamp,
        cookie: Option<&Arc<Secret<String>>>,
    ) -> Self {
        Self {
            verified: Arc::clone(verified),
            companion: companion.cloned(),
            until: verified.expires_at,
            certificates_until: companion.map_or(bound_until, |other| other.expires_at.min(bound_until)),
            cookie: cookie.cloned(),
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

    /// How often its record is to be read again, where there is one: its end may move, and it may be removed without a
    /// word in the log. An application's own logout never says one.
    pub fn reread_every(&self) -> Option<Duration> {
        match self.verified.kind {
            CredentialKind::Session if self.cookie.is_some() => Some(FOREIGN_EVERY),
            CredentialKind::Session | CredentialKind::ApiKey => Some(OWN_EVERY),
            CredentialKind::Jwt | CredentialKind::Opaque | CredentialKind::Basic | CredentialKind::Mtls => None,
        }
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

    /// Reads again when a session or an API key ends. Fails with why it counts no more, or with
    /// [`Reason::StoreUnavailable`].
    pub async fn renew(&self, tenure: &Tenure, now: Timestamp) -> Result<Timestamp, Denial> {
        match &tenure.cookie {
            Some(cookie) => self.identities.renew_foreign(&tenure.verified, cookie, now).await,
            None => self.identities.renew(&tenure.verified, now).await,
        }
    }
}

#[cfg(test)]
#[path = "tenure_tests.rs"]
mod tests;
