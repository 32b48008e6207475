//! Proof that the gate said yes.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};

use super::credential::{Carrier, Reader};
use super::headers::{Hygiene, Introduction, certificate};
use super::policy::Objection;
use super::proof::DPOP_NONCE;
use super::tenure::Tenure;
use crate::model::settings::RouteSettings;
use crate::model::{ClientCertificate, Identity, Secret, Timestamp, Verified};

/// Proof that the gate said yes to one request, and what that request becomes. Only the gate makes one; it cannot be
/// copied; forwarding consumes it and takes from it what the upstream is asked for.
///
/// Nothing else can make one:
///
/// ```compile_fail
/// use portcullis::gate::Permit;
/// fn forged(real: Permit) -> Permit {
///     Permit { ..real }
/// }
/// ```
///
/// ```compile_fail
/// let forged = portcullis::gate::Permit::grant(todo!());
/// ```
///
/// and it cannot be used twice:
///
/// ```compile_fail
/// fn twice(permit: portcullis::gate::Permit) -> [portcullis::gate::Permit; 2] {
///     [permit.clone(), permit]
/// }
/// ```
///
/// while looking at it is free:
///
/// ```
/// fn target(permit: &portcullis::gate::Permit) -> &str {
///     permit.target().as_str()
/// }
/// ```
#[derive(Debug)]
pub struct Permit(Grant);

/// What the gate has decided.
#[derive(Debug)]
pub(in crate::gate) struct Grant {
    pub(in crate::gate) route: Arc<RouteSettings>,
    pub(in crate::gate) identity: Identity,
    /// The certificate that had to come with the credential.
    pub(in crate::gate) companion: Option<Arc<Verified>>,
    /// When the certificate ends that the credential is bound to.
    pub(in crate::gate) bound_until: Timestamp,
    /// The cookie of a session that the application keeps.
    pub(in crate::gate) foreign_cookie: Option<Arc<Secret<String>>>,
    pub(in crate::gate) method: Method,
    pub(in crate::gate) target: PathAndQuery,
    /// What the upstream is asked for instead.
    pub(in crate::gate) rewritten: Option<PathAndQuery>,
    pub(in crate::gate) destination: Destination,
    /// What brought the credential that counted.
    pub(in crate::gate) carrier: Option<Carrier>,
    /// What a rule that only reports has against it.
    pub(in crate::gate) objection: Option<Objection>,
    /// The DPoP nonce to use from now on.
    pub(in crate::gate) next_nonce: Option<HeaderValue>,
    pub(in crate::gate) introduction: Option<Arc<Introduction>>,
    /// Of which certificate the upstream is told.
    pub(in crate::gate) certificate: Option<Arc<ClientCertificate>>,
    pub(in crate::gate) hygiene: Arc<Hygiene>,
    pub(in crate::gate) reader: Arc<Reader>,
}

/// Where a permitted request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The upstream of this name.
    Upstream(Arc<str>),
    /// A CORS preflight that the route agrees to, answered by Portcullis itself.
    Preflight,
    /// The public keys of the assertion, answered by Portcullis itself.
    AssertionKeys,
}

impl Permit {
    /// For the gate, once every stage has agreed.
    pub(in crate::gate) const fn grant(grant: Grant) -> Self {
        Self(grant)
    }

    /// The route that was chosen.
    pub fn route(&self) -> &RouteSettings {
        &self.0.route
    }

    /// Who it is.
    pub const fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// What a rule that only reports would have refused it for.
    pub const fn objection(&self) -> Option<&Objection> {
        self.0.objection.as_ref()
    }

    /// The method that was decided on.
    pub const fn method(&self) -> &Method {
        &self.0.method
    }

    /// The path and query that were asked for, byte for byte.
    pub const fn target(&self) -> &PathAndQuery {
        &self.0.target
    }

    /// The path and query that the upstream is asked for: the target, or what the route makes of it. Nothing else is
    /// forwarded.
    pub const fn forwarded(&self) -> &PathAndQuery {
        match &self.0.rewritten {
            Some(rewritten) => rewritten,
            None => &self.0.target,
        }
    }

    /// Where it goes.
    pub const fn destination(&self) -> &Destination {
        &self.0.destination
    }

    /// Makes the request's headers what the upstream may see: removes every identity header in every spelling, our
    /// session cookie and the credentials that were used, then sets identity headers, the assertion and the certificate. Hop-by-hop headers
    /// must be gone already.
    pub fn rewrite_headers(&self, headers: &mut HeaderMap) {
        self.0.hygiene.clean(headers);
        if !self.0.route.forward_credentials
            && let Some(carrier) = self.0.carrier
        {
            self.0.reader.remove(carrier, headers);
        }
        if let Some(introduction) = &self.0.introduction {
            introduction.set(headers);
        }
        if let Some(certificate) = &self.0.certificate {
            certificate::set(self.0.route.identity.certificate, certificate, headers);
        }
    }

    /// Removes identity headers from trailers, in every spelling.
    pub fn rewrite_trailers(&self, trailers: &mut HeaderMap) {
        self.0.hygiene.clean(trailers);
    }

    /// What answering needs to know once forwarding has consumed the permit.
    pub fn answer(&self) -> Answer {
        Answer {
            route: self.0.route.clone(),
            identity: self.0.identity.clone(),
            companion: self.0.companion.clone(),
            bound_until: self.0.bound_until,
            next_nonce: self.0.next_nonce.clone(),
            foreign_cookie: self.0.foreign_cookie.clone(),
            hygiene: self.0.hygiene.clone(),
        }
    }
}

/// What a permit means for the answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The route that was chosen.
    pub route: Arc<RouteSettings>,
    /// Who it is.
    pub identity: Identity,
    companion: Option<Arc<Verified>>,
    bound_until: Timestamp,
    next_nonce: Option<HeaderValue>,
    foreign_cookie: Option<Arc<Secret<String>>>,
    hygiene: Arc<Hygiene>,
}

impl Answer {
    /// What the exchange is held to for as long as it goes on; `None` where no credential counted.
    pub fn tenure(&self) -> Option<Tenure> {
        match &self.identity {
            Identity::Anonymous => None,
            Identity::Verified(verified) => {
                let (companion, cookie) = (self.companion.as_ref(), self.foreign_cookie.as_ref());
                Some(Tenure::new(verified, companion, self.bound_until, cookie))
            }
        }
    }

    /// Makes the answer's headers what the client may see: an upstream's `Set-Cookie` of our session cookie's name goes;
    /// authenticated answers get `Cache-Control: private` unless the upstream said otherwise; a DPoP client is told its
    /// next nonce in time, in an answer that nobody keeps (RFC 9449, section 8.2).
    pub fn harden(&self, headers: &mut HeaderMap) {
        self.hygiene.clean_answer(headers);
        if let Some(nonce) = &self.next_nonce {
            headers.insert(DPOP_NONCE, nonce.clone());
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if self.identity.verified().is_some() && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
    }
}

#[cfg(test)]
#[path = "permit_tests.rs"]
mod tests;
