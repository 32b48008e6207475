//! The rules of routes and of `[policy]`.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use ipnet::IpNet;

use crate::model::Principal;

/// What a route's rules say: any that denies refuses; where there are any that allow, one must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Any that matches refuses.
    pub deny: Vec<Rule>,
    /// Where there are any, one must match.
    pub allow: Vec<Rule>,
}

/// One rule: every part that is given must fit; a list within a part fits if one of its entries does, but for
/// `permissions`, `scopes` and `amr`, of which all are needed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// For logs and explanations: `route.orders.allow[1]`.
    pub name: Arc<str>,
    /// Whether it counts.
    pub mode: RuleMode,
    /// One of these methods.
    pub methods: Vec<Method>,
    /// One of these roles.
    pub roles: Vec<Arc<str>>,
    /// All of these permissions.
    pub permissions: Vec<Arc<str>>,
    /// All of these scopes.
    pub scopes: Vec<Arc<str>>,
    /// One of these groups.
    pub groups: Vec<Arc<str>>,
    /// One of these tenants.
    pub tenants: Vec<Arc<str>>,
    /// One of these principals.
    pub principals: Vec<Principal>,
    /// The client's address is in one of these networks.
    pub networks: Vec<IpNet>,
    /// All of these claims.
    pub claims: Vec<ClaimTest>,
    /// The credential's owner has authenticated at most so long ago.
    pub authenticated_within: Option<Duration>,
    /// One of these authentication context classes.
    pub acr: Vec<Arc<str>>,
    /// All of these authentication methods (RFC 8176).
    pub amr: Vec<Arc<str>>,
}

/// Whether a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuleMode {
    /// It does.
    #[default]
    Enforce,
    /// What it would do is counted and logged, and nothing else.
    Report,
}

/// A claim that must have, or as a list contain, one of these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimTest {
    /// A JSON pointer, or a plain name.
    pub claim: Arc<str>,
    /// Never empty.
    pub one_of: Vec<ClaimValue>,
}

/// A value that a claim can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimValue {
    /// Text.
    Text(Arc<str>),
    /// A whole number.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
}
