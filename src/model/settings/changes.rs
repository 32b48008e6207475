//! What a route changes of a request on its way to the upstream, and of the answer on its way back.

use super::PathPattern;

/// What a route changes; by default nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteChanges {
    /// What becomes of the path.
    pub path: Option<PathRewrite>,
}

/// What becomes of the path on its way to the upstream; every match of the route has the captures or the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRewrite {
    /// This path, its captures filled in.
    Template(PathPattern),
    /// These first segments, literal ones, are left out.
    StripPrefix(PathPattern),
}
