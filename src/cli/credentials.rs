//! What `keys` and `sessions` have in common.

use std::sync::Arc;

use super::failure::Failure;
use super::output;
use crate::admin::operations;
use crate::model::Principal;

/// Whose a new credential is, and what it may do.
#[derive(Debug, clap::Args)]
pub(super) struct Grants {
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    pub(super) subject: String,
    /// The issuer of that subject; default: Portcullis itself
    #[arg(long, value_name = "ISS")]
    pub(super) issuer: Option<String>,
    /// A role; can be repeated
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    pub(super) roles: Vec<String>,
    /// A scope; can be repeated
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    pub(super) scopes: Vec<String>,
    /// A group; can be repeated
    #[arg(long = "group", value_name = "GROUP", value_delimiter = ',')]
    pub(super) groups: Vec<String>,
    /// The tenant it belongs to
    #[arg(long, value_name = "TENANT")]
    pub(super) tenant: Option<String>,
}

/// Whose credentials to list.
#[derive(Debug, clap::Args)]
pub(super) struct Owner {
    /// Only those of this subject
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// The issuer of that subject; default: Portcullis itself
    #[arg(long, value_name = "ISS", requires = "subject")]
    issuer: Option<String>,
    /// Print ids alone, one a line
    #[arg(long, conflicts_with = "json")]
    pub(super) ids_only: bool,
}

impl Owner {
    pub(super) fn principal(&self) -> Result<Option<Principal>, Failure> {
        let of = |subject: &String| Ok(operations::principal(self.issuer.as_deref(), subject)?);
        self.subject.as_ref().map(of).transpose()
    }
}

/// Revokes each of these; says what happened to each, and fails if one failed.
pub(super) async fn each<'a, T, F>(ids: &'a [String], json: bool, revoke: impl Fn(&'a str) -> F) -> Result<(), Failure>
where
    T: serde::Serialize,
    F: Future<Output = Result<T, Failure>>,
{
    let mut done = Vec::with_capacity(ids.len());
    let mut failed = Ok(());
    for id in ids {
        match revoke(id).await {
            Ok(view) => {
                if !json {
                    output::line(&format!("revoked {id}"));
                }
                done.push(view);
            }
            // The first failure decides; the others are tried all the same.
            Err(failure) if failed.is_ok() => failed = Err(failure),
            Err(failure) => drop(failure.report()),
        }
    }
    if json {
        output::json(&done);
    }
    failed
}

/// Several names as one cell.
pub(super) fn joined(names: &[Arc<str>]) -> String {
    names.join(",")
}

/// The same, absent if there are none.
pub(super) fn some(names: &[Arc<str>]) -> Option<String> {
    (!names.is_empty()).then(|| joined(names))
}

/// A subject, with its issuer unless that is Portcullis itself.
pub(super) fn owner(issuer: &str, subject: &str) -> String {
    if issuer == crate::model::identity::LOCAL_ISSUER { subject.to_owned() } else { format!("{issuer}|{subject}") }
}
