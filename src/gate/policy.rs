//! Stage 8: deny rules, then allow rules.

use http::Method;

use crate::model::settings::{RoleTable, RouteSettings};
use crate::model::{Client, Denial, Identity};

/// The rules of one route, with roles resolved.
pub struct Policy {}

impl Policy {
    /// Of this route.
    pub fn new(route: &RouteSettings, roles: &RoleTable) -> Self {
        let _ = (route, roles);
        todo!()
    }

    /// Any deny rule that matches refuses; then, where there are allow rules, one must match. Returns the name of the
    /// allow rule that matched, if there are any.
    pub fn decide(&self, method: &Method, identity: &Identity, client: &Client) -> Result<Option<&str>, Denial> {
        let _ = (method, identity, client);
        todo!()
    }
}
