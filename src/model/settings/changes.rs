//! What a route changes of a request on its way to the upstream, and of the answer on its way back.

use http::{HeaderName, HeaderValue};

use super::PathPattern;

/// What a route changes; by default nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteChanges {
    /// What becomes of the path.
    pub path: Option<PathRewrite>,
    /// What the upstream is told as `Host`, instead of what the client said.
    pub host: Option<HeaderValue>,
    /// Headers of requests.
    pub request_headers: HeaderEdits,
    /// Headers of answers.
    pub response_headers: HeaderEdits,
}

/// Edits of headers; each name stands in one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// These replace what was there, in every spelling.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// These come after what was there.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// These go, in every spelling.
    pub remove: Vec<HeaderName>,
}

/// What becomes of the path on its way to the upstream; every match of the route has the captures or the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRewrite {
    /// This path, its captures filled in.
    Template(PathPattern),
    /// These first segments, literal ones, are left out.
    StripPrefix(PathPattern),
}
