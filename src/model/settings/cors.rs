//! `cors` of a route: which other origins' pages may read its answers.

use std::time::Duration;

use http::{HeaderName, Method};

use super::Origin;

/// What pages of other origins may do (Fetch standard, "CORS protocol").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsSettings {
    /// Whose pages.
    pub origins: CorsOrigins,
    /// With which methods.
    pub methods: Vec<Method>,
    /// With which headers besides those that every page may send.
    pub headers: Vec<HeaderName>,
    /// Which headers of answers they may read besides those that every page may.
    pub expose: Vec<HeaderName>,
    /// Whether cookies and client certificates come along; never with [`CorsOrigins::Any`].
    pub credentials: bool,
    /// How long a browser may remember what a preflight was told.
    pub max_age: Duration,
}

/// Whose pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// `"*"`: anybody's.
    Any,
    /// Exactly these.
    These(Vec<Origin>),
}
