//! Decides. [`Gate::check`] shows every stage; one file or folder holds each.

pub mod assertion;
mod case;
pub mod cors;
pub mod credential;
pub mod csrf;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod headers;
pub mod identity;
pub mod limit;
mod maintenance;
pub mod permit;
mod plan;
pub mod policy;
pub mod proof;
pub mod revocation;
pub mod route;
mod shared;
pub mod tenure;

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};

use self::credential::{Companion, Found, Presented};
use self::permit::{Destination, Grant};
use self::plan::Plan;
use self::route::Router;
use crate::crypto::Signer;
use crate::model::denial::Reason;
use crate::model::settings::{CertificateHeaders, LimitStage, MaintenanceSettings, RouteSettings, Settings};
use crate::model::{Client, ClientCertificate, CredentialKind, Denial, Identity, Secret, Timestamp, Verified};
use crate::store::Store;

pub use self::case::Case;
pub use self::permit::Permit;
pub use self::shared::Shared;

/// A request head, as far as deciding needs it.
#[derive(Debug, Clone, Copy)]
pub struct CheckRequest<'a> {
    /// The name of the listener it came through.
    pub listener: &'a str,
    /// Its method.
    pub method: &'a Method,
    /// Path and query exactly as sent (origin-form).
    pub target: &'a str,
    /// `Host` or `:authority` as sent.
    pub host: &'a str,
    /// All headers as sent.
    pub headers: &'a HeaderMap,
    /// Who is connected.
    pub client: &'a Client,
    /// The listener's public origin, where one is configured.
    pub public_origin: Option<&'a crate::model::settings::Origin>,
    /// Now.
    pub now: Timestamp,
}

/// The engine that turns a request head into a permit or a denial. It knows nothing of sockets. One per worker.
pub struct Gate {
    shared: Arc<Shared>,
    router: Router<Arc<Plan>>,
    reader: Arc<credential::Reader>,
    identities: identity::Identities,
    prover: proof::Prover,
    hygiene: Arc<headers::Hygiene>,
    maintenance: MaintenanceSettings,
}

/// Why a gate cannot be built from settings that `config` found good.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GateError(pub String);

impl Gate {
    /// Builds the routes and stages. `signer` signs assertions.
    pub fn new(settings: &Settings, shared: Arc<Shared>, store: Store, signer: Arc<Signer>) -> Result<Self, GateError> {
        Ok(Self {
            router: plan::router(settings, &shared, signer)?,
            reader: Arc::new(credential::Reader::new(settings)),
            prover: proof::Prover::new(&settings.dpop, store.replays.clone(), shared.clone()),
            identities: identity::Identities::new(settings, shared.clone(), store),
            hygiene: Arc::new(headers::Hygiene::new(settings)),
            maintenance: settings.maintenance.clone(),
            shared,
        })
    }

    /// All stages, in order. A denial names the route from the moment that there is one.
    pub async fn check(&self, request: &CheckRequest<'_>) -> Result<Permit, Denial> {
        if let Some(answer) = self.preflight(request) {
            return answer;
        }
        let routed = self.router.find(request)?; // 1 route
        let name = &routed.route.settings.name;
        self.decide(request, &routed).await.map_err(|denial| Denial { route: Some(name.clone()), ..denial })
    }

    /// A browser's question before a cross-origin request comes without credentials, and is the business of the route that
    /// the announced request would take. `None`: it is no preflight, or one that is the upstream's to answer.
    fn preflight(&self, request: &CheckRequest<'_>) -> Option<Result<Permit, Denial>> {
        let method = cors::announced(request)?;
        let routed = self.router.find(&CheckRequest { method: &method, ..*request }).ok()?;
        let (plan, cors) = (routed.route, routed.route.cors.as_ref()?);
        let agreed = plan
            .limits
            .check(LimitStage::BeforeAuthentication, &routed.case(request))
            .and_then(|()| cors.agree(&method, request.headers))
            .map_err(|denial| Denial { route: Some(plan.settings.name.clone()), ..denial });
        Some(agreed.map(|()| {
            Permit::grant(Grant {
                introduction: None,
                certificate: None,
                carrier: None,
                objection: None,
                route: plan.settings.clone(),
                bound_until: Timestamp::NEVER,
                companion: None,
                foreign_cookie: None,
                identity: Identity::Anonymous,
                method: Method::OPTIONS,
                target: routed.target,
                rewritten: routed.rewritten,
                destination: Destination::Preflight,
                next_nonce: None,
                hygiene: self.hygiene.clone(),
                reader: self.reader.clone(),
            })
        }))
    }

    /// Stage 1 alone: the host in the one form that routes are written in, and the target byte for byte, where some route
    /// serves them, to whomever.
    pub fn locate(&self, request: &CheckRequest<'_>) -> Result<(String, PathAndQuery), Denial> {
        let routed = self.router.find(request)?; // 1 route
        Ok((routed.host.name.into_owned(), routed.target))
    }

    async fn decide(&self, request: &CheckRequest<'_>, routed: &Routed<'_>) -> Result<Permit, Denial> {
        let CheckRequest { method, headers, client, now, .. } = *request;
        let (plan, case) = (routed.route, routed.case(request));
        let route = &plan.settings;

        if plan.destination != Destination::AssertionKeys {
            maintenance::check(&self.shared, &self.maintenance, &route.maintenance, client.address)?;
        }
        plan.limits.check(LimitStage::BeforeAuthentication, &case)?; // 2 limit
        let found = self.reader.read(headers, client, &plan.accepts, route.websocket_bearer)?; // 3 credential
        let (identity, companion) = self.identify(plan, found, &case).await?; // 4 identity
        let next_nonce = self.prove(&case, routed, found, &identity).await?; //   and that whoever presents it may
        let identity = self.still_valid(plan, identity, companion.as_deref(), now)?; // 5 revocation
        csrf::check(request, &routed.host, route, &identity)?; // 6 csrf
        let case = case.by(&identity);
        plan.limits.check(LimitStage::AfterAuthentication, &case)?; // 7 limit
        let ruled = plan.policy.decide(&case)?; // 8 policy
        if let Some(objection) = &ruled.would_deny {
            self.shared.metrics.would_deny(&objection.rule);
        }

        Ok(Permit::grant(Grant {
            introduction: plan.introducer.introduce(&identity, now)?,
            certificate: self.tellable(route, client, now),
            carrier: found.map(|found| found.carrier),
            objection: ruled.would_deny,
            route: route.clone(),
            bound_until: identity.verified().map_or(Timestamp::NEVER, |verified| tenure::bound_until(verified, client)),
            companion,
            foreign_cookie: self.foreign_cookie(found),
            identity,
            method: method.clone(),
            target: routed.target.clone(),
            rewritten: routed.rewritten.clone(),
            destination: plan.destination.clone(),
            next_nonce,
            hygiene: self.hygiene.clone(),
            reader: self.reader.clone(),
        }))
    }

    /// Verifies what was found and sees that the route accepts it; also the certificate that had to come with it. Failed
    /// attempts with an explicit credential count against the limits of failures; an ambient one that has merely ended is
    /// nobody's attempt.
    async fn identify(
        &self,
        plan: &Plan,
        found: Option<Found<'_>>,
        case: &Case<'_>,
    ) -> Result<(Identity, Option<Arc<Verified>>), Denial> {
        let CheckRequest { client, now, .. } = *case.request;
        let Some(found) = found else { return Ok((Identity::Anonymous, None)) };
        if found.is_explicit() {
            plan.limits.check(LimitStage::FailedAuthentication, case)?;
        }
        let resolved = self.identities.resolve(found.presented, client, now).await;
        if found.presented.kind() == CredentialKind::Basic {
            // A password can be guessed, and checking one takes long: of guesses that arrive together, only as many are
            // told their outcome as the limit has room for.
            plan.limits.check(LimitStage::FailedAuthentication, case)?;
        }
        let verified = match resolved {
            Ok(verified) => verified,
            Err(denial) if plan.accepts.is_optional() && has_ended(&found, denial.reason) => {
                return Ok((Identity::Anonymous, None));
            }
            Err(denial) => {
                if found.is_explicit() && denial.reason.row().status == 401 {
                    plan.limits.failed(case);
                }
                return Err(denial);
            }
        };
        let companion = match plan.accepts.admit(&verified)? {
            Companion::Certificate => Some(self.accompany(plan, client, now).await?),
            Companion::None => None,
        };
        Ok((Identity::Verified(verified), companion))
    }

    /// Sees to it that a token that is bound to a key comes from its holder, who proves it for each request anew. A proof
    /// that fails is an attempt like any other; one that only lacks our nonce is how every client begins.
    async fn prove(
        &self,
        case: &Case<'_>,
        routed: &Routed<'_>,
        found: Option<Found<'_>>,
        identity: &Identity,
    ) -> Result<Option<HeaderValue>, Denial> {
        let request = case.request;
        let (Some(Found { presented, carrier }), Some(verified)) = (found, identity.verified()) else {
            return Ok(None);
        };
        let (host, elapsed) = (&routed.host, self.shared.clock.elapsed());
        let asked = proof::Asked { verified, presented, carrier, request, host, elapsed };
        let proved = self.prover.check(&asked).await;
        if let Err(denial) = &proved
            && denial.reason.row().status == 401
            && denial.reason != Reason::ProofNonce
        {
            routed.route.limits.failed(case);
        }
        proved
    }

    /// The certificate of the client's connection, where the upstream is to be told and it still counts: a fact of the
    /// connection (RFC 9440, section 2), whatever the identity rests on.
    fn tellable(&self, route: &RouteSettings, client: &Client, now: Timestamp) -> Option<Arc<ClientCertificate>> {
        if route.identity.certificate == CertificateHeaders::default() {
            return None;
        }
        let certificate = client.certificate.as_ref()?;
        let counts =
            now < certificate.not_after && !self.shared.revocations.certificate_revoked(&certificate.fingerprint);
        counts.then(|| Arc::clone(certificate))
    }

    /// The cookie of a session that the application keeps; what goes on for long is held to it.
    fn foreign_cookie(&self, found: Option<Found<'_>>) -> Option<Arc<Secret<String>>> {
        match found?.presented {
            Presented::Session(cookie) if self.identities.sessions_are_foreign() => {
                Some(Arc::new(Secret::new(cookie.to_owned())))
            }
            _ => None,
        }
    }

    /// The certificate that must come with an accepted token is verified like any other; the token names the principal.
    async fn accompany(&self, plan: &Plan, client: &Client, now: Timestamp) -> Result<Arc<Verified>, Denial> {
        let certificate = client.certificate.as_deref().ok_or_else(|| {
            Denial::because(Reason::CredentialMissing, format!("no client certificate, {}", plan.accepts))
        })?;
        self.identities.resolve(Presented::Certificate(certificate), client, now).await
    }

    /// Asks the revocation log, also of the certificate that had to come. A session that was ended there is, where the route serves anyone, like one that is gone
    /// from the store: whoever logged out is nobody, not locked out.
    ///
    /// Nothing is awaited after it: what is added to the log later finds the permitted request among those under way.
    fn still_valid(
        &self,
        plan: &Plan,
        identity: Identity,
        companion: Option<&Verified>,
        now: Timestamp,
    ) -> Result<Identity, Denial> {
        let Identity::Verified(verified) = &identity else { return Ok(identity) };
        if let Some(companion) = companion {
            self.shared.revocations.check(companion, plan.settings.on_stale, now)?;
        }
        match self.shared.revocations.check(verified, plan.settings.on_stale, now) {
            Err(denial)
                if denial.reason == Reason::Revoked
                    && verified.kind == CredentialKind::Session
                    && plan.accepts.is_optional() =>
            {
                Ok(Identity::Anonymous)
            }
            checked => checked.map(|()| identity),
        }
    }
}

/// Whether this is a session that is over, rather than something presented that is wrong.
fn has_ended(found: &Found<'_>, reason: Reason) -> bool {
    found.presented.kind() == CredentialKind::Session
        && matches!(
            reason,
            Reason::SessionUnknown | Reason::SessionExpired | Reason::SessionAnonymous | Reason::SessionUnreadable
        )
}

/// What stage 1 has found out.
type Routed<'a> = route::Routed<'a, 'a, Arc<Plan>>;

impl Routed<'_> {
    /// What the next stages decide on, before it is known who asks.
    fn case<'a>(&'a self, request: &'a CheckRequest<'a>) -> Case<'a> {
        Case {
            request,
            route: &self.route.settings,
            host: &self.host.name,
            captures: self.captures,
            rewritten: self.rewritten.as_ref(),
            identity: &Identity::Anonymous,
        }
    }
}

/// Doors that are served on several threads need the decision to be `Send`.
const _: fn(&Gate, &CheckRequest<'_>) = |gate, request| {
    const fn is_send<T: Send>(_: &T) {}
    is_send(&gate.check(request));
};

#[cfg(test)]
mod tests;
