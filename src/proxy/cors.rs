//! Which answers pages of other origins may read, those that Portcullis gives itself included.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::Body;
use crate::gate::cors::{self, Cors};
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::RouteSettings;

/// What each route says to pages of other origins; routes that have no `cors` are not in it.
pub(super) struct CorsByRoute(BTreeMap<Arc<str>, Cors>);

impl CorsByRoute {
    pub(super) fn new(routes: &[Arc<RouteSettings>]) -> Self {
        let of = |route: &Arc<RouteSettings>| Some((route.name.clone(), Cors::new(route.cors.as_ref()?)));
        Self(routes.iter().filter_map(of).collect())
    }

    /// Whose page asks, where any route cares.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.0.is_empty() { None } else { cors::origin(headers).cloned() }
    }

    /// Marks an answer of this route.
    pub(super) fn mark(
        &self,
        route: Option<&str>,
        origin: Option<&HeaderValue>,
        preflight: bool,
        headers: &mut HeaderMap,
    ) {
        let Some(cors) = route.and_then(|route| self.0.get(route)) else { return };
        cors.mark(origin, headers);
        if preflight {
            cors.announce(headers);
        }
    }

    /// Marks a denial: a page that may read answers may also read why there is none. A refused preflight says nothing.
    pub(super) fn mark_denial(&self, denial: &Denial, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let Some(cors) = denial.route.as_ref().and_then(|route| self.0.get(route)) else { return };
        match denial.reason {
            Reason::PreflightRefused => cors.withhold(headers),
            _ => cors.mark(origin, headers),
        }
    }
}

/// What a preflight that was agreed to is answered with.
pub(super) fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
