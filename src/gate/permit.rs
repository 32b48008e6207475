//! Proof that the gate said yes.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method};

use crate::model::Identity;
use crate::model::settings::RouteSettings;

/// Proof that the gate said yes to one request, and what that request becomes. Only the gate makes one; it cannot be
/// copied; forwarding consumes it and takes the target from it.
#[derive(Debug)]
pub struct Permit {
    route: Arc<RouteSettings>,
    identity: Identity,
    method: Method,
    target: PathAndQuery,
    destination: Destination,
}

/// Where a permitted request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The upstream of this name.
    Upstream(Arc<str>),
    /// The public keys of the assertion, answered by Portcullis itself.
    AssertionKeys,
}

impl Permit {
    /// The route that was chosen.
    pub fn route(&self) -> &RouteSettings {
        &self.route
    }
    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
    /// The method that was decided on.
    pub fn method(&self) -> &Method {
        &self.method
    }
    /// The path and query that were decided on, byte for byte.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }
    /// Where it goes.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }
    /// Makes the request's headers what the upstream may see: removes every identity header in every spelling, our
    /// session cookie and the credentials that were used, then sets identity headers and the assertion. Hop-by-hop headers
    /// must be gone already.
    pub fn rewrite_headers(&self, headers: &mut HeaderMap) {
        let _ = headers;
        todo!()
    }
    /// Removes identity headers from trailers, in every spelling.
    pub fn rewrite_trailers(&self, trailers: &mut HeaderMap) {
        let _ = trailers;
        todo!()
    }
    /// What answering needs to know once forwarding has consumed the permit.
    pub fn answer(&self) -> Answer {
        todo!()
    }
}

/// What a permit means for the answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The route that was chosen.
    pub route: Arc<RouteSettings>,
    /// Who it is.
    pub identity: Identity,
}

impl Answer {
    /// Makes the answer's headers what the client may see: an upstream's `Set-Cookie` of our session cookie's name goes;
    /// authenticated answers get `Cache-Control: private` unless the upstream said otherwise.
    pub fn harden(&self, headers: &mut HeaderMap) {
        let _ = headers;
        todo!()
    }
}
