//! What claims say of a principal, found by pointers.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::identity::claim_at;
use crate::model::settings::ClaimPointers;

/// What rules and headers go by.
pub(super) struct Facts {
    pub(super) roles: Vec<Arc<str>>,
    pub(super) groups: Vec<Arc<str>>,
    pub(super) scopes: Vec<Arc<str>>,
    pub(super) tenant: Option<Arc<str>>,
    pub(super) email: Option<Arc<str>>,
    pub(super) name: Option<Arc<str>>,
}

impl Facts {
    /// A claim that decisions go by (roles, groups, scopes, tenant) and that is of another type than it must be refuses
    /// the token: ignoring it could make a deny rule miss. `whose`: the table of the configuration with the pointers.
    pub(super) fn read(
        pointers: &ClaimPointers,
        claims: &Map<String, Value>,
        whose: fmt::Arguments<'_>,
    ) -> Result<Self, Denial> {
        let find = |pointer: &Option<Arc<str>>| pointer.as_deref().and_then(|pointer| claim_at(claims, pointer));
        let problem = |what, pointer: &Option<Arc<str>>, wanted| {
            let pointer = pointer.as_deref().unwrap_or_default();
            Denial::because(Reason::TokenClaim, format!("{what}: claim `{pointer}` for {whose} must be {wanted}"))
        };
        let list = |what, pointer, split| {
            strings(find(pointer), split).ok_or_else(|| problem(what, pointer, "a string or an array of strings"))
        };
        let text = |pointer| find(pointer).and_then(Value::as_str).map(Arc::from);
        Ok(Self {
            roles: list("roles", &pointers.roles, false)?,
            groups: list("groups", &pointers.groups, false)?,
            scopes: list("scopes", &pointers.scopes, true)?,
            tenant: match find(&pointers.tenant) {
                None | Some(Value::Null) => None,
                Some(Value::String(tenant)) => Some(tenant.as_str().into()),
                Some(_) => return Err(problem("tenant", &pointers.tenant, "a string")),
            },
            email: text(&pointers.email),
            name: text(&pointers.name),
        })
    }
}

/// Sorted, without duplicates and empty ones; `None` where it is something else than a string or an array of strings.
pub(super) fn strings(value: Option<&Value>, split_at_spaces: bool) -> Option<Vec<Arc<str>>> {
    let mut list: Vec<Arc<str>> = Vec::new();
    let mut add = |text: &str| {
        if split_at_spaces {
            list.extend(text.split(' ').filter(|part| !part.is_empty()).map(Arc::from));
        } else if !text.is_empty() {
            list.push(text.into());
        }
    };
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => add(text),
        Some(Value::Array(items)) => {
            for item in items {
                add(item.as_str()?);
            }
        }
        Some(_) => return None,
    }
    Some(super::sorted(list))
}
