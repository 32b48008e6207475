//! What is set on, and removed from, the headers that an upstream sees.

pub(in crate::gate) mod certificate;
pub(in crate::gate) mod cookie;
mod fold;
mod introduction;
mod preset;
mod value;

use std::sync::Arc;

use http::HeaderMap;

use self::fold::Forbidden;
pub(in crate::gate) use self::introduction::{Introducer, Introduction};
use crate::model::settings::{SessionLayout, Settings};

/// What no request takes past us, whatever its route: names that speak of identity or would change the request once it
/// has been decided on, and our session cookie.
#[derive(Debug)]
pub(in crate::gate) struct Hygiene {
    forbidden: Forbidden,
    /// `None` where the sessions are the application's: it needs its cookie, and sets it.
    session_cookie: Option<Arc<str>>,
}

impl Hygiene {
    /// By the identity headers of all routes: a name that one route sets is stripped on every route, since several may
    /// lead to the same upstream.
    pub(in crate::gate) fn new(settings: &Settings) -> Self {
        let own = settings.routes.iter().flat_map(|route| route.identity.headers.iter().map(|(name, _)| name));
        let forbidden = Forbidden::new(own.chain([&settings.assertion.header]));
        let session_cookie = match settings.session.layout {
            SessionLayout::Portcullis => Some(settings.session.cookie.clone()),
            SessionLayout::Foreign(_) => None,
        };
        Self { forbidden, session_cookie }
    }

    /// Cleans a request's headers or trailers.
    pub(in crate::gate) fn clean(&self, headers: &mut HeaderMap) {
        self.forbidden.strip(headers);
        if let Some(name) = &self.session_cookie {
            cookie::remove(headers, name);
        }
    }

    /// Cleans an answer: our session cookie is ours to set.
    pub(in crate::gate) fn clean_answer(&self, headers: &mut HeaderMap) {
        if let Some(name) = &self.session_cookie {
            cookie::remove_set(headers, name);
        }
    }
}
