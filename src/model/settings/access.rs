//! `[limit]` and `[roles]`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// `[limit.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Its name.
    pub name: Arc<str>,
    /// What is counted apart; several make a tuple.
    pub key: Vec<LimitKey>,
    /// How many …
    pub count: u32,
    /// … in how long.
    pub per: Duration,
    /// How many at once; at least 1.
    pub burst: u32,
    /// When it is asked.
    pub stage: LimitStage,
}

/// A part of a limit's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// `client.address`; IPv6 by /64.
    ClientAddress,
    /// `identity.principal`
    Principal,
    /// `credential.id`
    Credential,
    /// `identity.tenant`
    Tenant,
}

/// When a limit is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitStage {
    /// Before credentials are read: by client address.
    BeforeAuthentication,
    /// Once the identity is known.
    AfterAuthentication,
    /// Counts failed authentications only, and refuses further attempts when used up.
    FailedAuthentication,
}

/// A permission that a role grants: exact, `prefix:*`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PermissionPattern {
    /// This one.
    Exact(Arc<str>),
    /// All that begin so (the text before `*`).
    Prefix(Arc<str>),
    /// All.
    Any,
}

/// `[roles]`: what each role grants, inheritance resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleTable {
    /// By role.
    pub grants: BTreeMap<Arc<str>, BTreeSet<PermissionPattern>>,
    /// The roles that each role stands for, itself included: whoever has the key also has these.
    pub implies: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}
