//! Whose a credential is and what it may do, as operators write it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::OperationError;
use crate::crypto::session_secret;
use crate::model::Principal;
use crate::model::identity::LOCAL_ISSUER;

/// Whose a new credential is, and what it may do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Grants {
    /// Whose.
    pub subject: String,
    /// The issuer of that subject; [`LOCAL_ISSUER`] if absent.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Tenant.
    #[serde(default)]
    pub tenant: Option<String>,
}

/// The same, fit for a record.
pub(super) struct Granted {
    pub(super) principal: Principal,
    pub(super) roles: Vec<Arc<str>>,
    pub(super) scopes: Vec<Arc<str>>,
    pub(super) groups: Vec<Arc<str>>,
    pub(super) tenant: Option<Arc<str>>,
}

impl Grants {
    pub(super) fn checked(self) -> Result<Granted, OperationError> {
        Ok(Granted {
            principal: principal(self.issuer.as_deref(), &self.subject)?,
            roles: list("role", self.roles)?,
            scopes: list("scope", self.scopes)?,
            groups: list("group", self.groups)?,
            tenant: optional("tenant", self.tenant)?,
        })
    }
}

/// The pair that a request names.
pub fn principal(issuer: Option<&str>, subject: &str) -> Result<Principal, OperationError> {
    let issuer = issuer.unwrap_or(LOCAL_ISSUER);
    Ok(Principal::new(plain("issuer", issuer)?, plain("subject", subject)?))
}

/// Longest public id of our own.
const LONGEST_ID: usize = 22;

/// A public id, which can also be a segment of a path. What is longer is the secret itself, given by mistake: it must not
/// be looked for, or repeated by whoever does not find it.
pub fn public_id(id: &str) -> Result<&str, OperationError> {
    let own = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if own || session_secret::is_application_id(id) {
        return Ok(id);
    }
    Err(OperationError::Invalid(format!(
        "an id consists of at most {LONGEST_ID} letters and digits; `list` shows ids (not the secret text)"
    )))
}

/// Longest value, in bytes: all of them must fit in a header together.
const MAX_LENGTH: usize = 256;

pub(super) fn plain<'a>(field: &str, value: &'a str) -> Result<&'a str, OperationError> {
    let problem = if value.is_empty() {
        "may not be empty"
    } else if value.len() > MAX_LENGTH {
        "is longer than 256 bytes"
    } else if value.chars().any(char::is_control) {
        "contains a control character"
    } else {
        return Ok(value);
    };
    Err(OperationError::Invalid(format!("the {field} {problem}")))
}

pub(super) fn optional(field: &str, value: Option<String>) -> Result<Option<Arc<str>>, OperationError> {
    value.map(|value| plain(field, &value).map(Arc::from)).transpose()
}

/// Sorted, without duplicates. Roles, scopes and groups are told to upstreams in one header each, so an entry that holds
/// the separator would be read as two.
fn list(field: &str, values: Vec<String>) -> Result<Vec<Arc<str>>, OperationError> {
    let mut list: Vec<Arc<str>> = Vec::with_capacity(values.len());
    for value in &values {
        if plain(field, value)?.contains([',', ' ']) {
            return Err(OperationError::Invalid(format!("the {field} `{value}` contains a comma or a space")));
        }
        list.push(Arc::from(value.as_str()));
    }
    list.sort();
    list.dedup();
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_could_be_read_as_two_are_refused() {
        assert!(list("role", vec!["admin,root".to_owned()]).is_err());
        assert!(list("scope", vec!["a b".to_owned()]).is_err());
        assert!(list("role", vec![String::new()]).is_err());
        assert!(principal(None, "a\r\nX-User: root").is_err());
        assert!(principal(None, &"a".repeat(257)).is_err());
        assert!(optional("label", Some("for the nightly job".to_owned())).is_ok());
    }

    #[test]
    fn lists_are_sorted_and_without_duplicates() {
        let roles = list("role", vec!["b".to_owned(), "a".to_owned(), "b".to_owned()]).unwrap();
        assert_eq!(roles, ["a".into(), "b".into()] as [Arc<str>; 2]);
    }

    #[test]
    fn a_principal_without_an_issuer_is_local() {
        assert_eq!(principal(None, "ci").unwrap(), Principal::new(LOCAL_ISSUER, "ci"));
    }

    #[test]
    fn f49_a_secret_given_for_an_id_is_not_repeated() {
        let secret = "canary0123456789canary0123456789";
        let problem = public_id(secret).unwrap_err().to_string();
        assert!(!problem.contains("canary"), "{problem}");
        for bad in ["", "../status", "a b", "0123456789abcdef0123456789abcdef", "app0123456789abcdef0123456789abcdeF"] {
            assert!(public_id(bad).is_err(), "{bad}");
        }
        assert!(public_id("7Zk3").is_ok());
        assert!(public_id("app0123456789abcdef0123456789abcdef").is_ok());
    }
}
