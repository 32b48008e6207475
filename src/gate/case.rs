//! What limits and rules decide on.

use http::uri::PathAndQuery;

use super::CheckRequest;
use super::route::Captures;
use crate::model::settings::RouteSettings;
use crate::model::{Identity, Verified};

/// A request whose route is known, and who it is from, as far as that is known yet.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The head.
    pub request: &'a CheckRequest<'a>,
    /// The route.
    pub route: &'a RouteSettings,
    /// The host that was asked for, in the one form that routes are written in.
    pub host: &'a str,
    /// What the route's match captures of the path.
    pub captures: Captures<'a>,
    /// What the upstream is asked for instead of the target, where the route rewrites paths.
    pub rewritten: Option<&'a PathAndQuery>,
    /// Who it is; [`Identity::Anonymous`] until that is known.
    pub identity: &'a Identity,
}

impl<'a> Case<'a> {
    /// The same, now that it is known who it is from.
    pub const fn by(self, identity: &'a Identity) -> Self {
        Self { identity, ..self }
    }

    /// What the credential proved; `None`: nobody in particular.
    pub fn verified(&self) -> Option<&'a Verified> {
        self.identity.verified()
    }

    /// The path that was asked for, as sent.
    pub fn path(&self) -> &'a str {
        self.request.target.split('?').next().unwrap_or_default()
    }
}
