//! What `keys` and `sessions` have in common: whose, what it is shown as, how it is revoked.

use std::sync::Arc;

use serde::Serialize;

use super::backend::BackendArgs;
use super::failure::Failure;
use super::output;
use crate::admin::operations;
use crate::model::{Principal, Secret};

/// Whose a new credential is, and what it may do.
#[derive(Debug, clap::Args)]
pub(super) struct Grants {
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// The issuer of that subject; default: Portcullis itself
    #[arg(long, value_name = "ISS")]
    issuer: Option<String>,
    /// A role; can be repeated
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<String>,
    /// A scope; can be repeated
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// A group; can be repeated
    #[arg(long = "group", value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,
    /// The tenant it belongs to
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

impl From<Grants> for operations::Grants {
    fn from(grants: Grants) -> Self {
        let Grants { subject, issuer, roles, scopes, groups, tenant } = grants;
        Self { subject, issuer, roles, scopes, groups, tenant }
    }
}

/// How a new credential is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Created {
    /// Print the secret text alone
    #[arg(long, conflicts_with = "json")]
    secret_only: bool,
    #[command(flatten)]
    pub(super) backend: BackendArgs,
}

impl Created {
    /// Shows what was made: `what` is its secret.
    pub(super) fn show<T: Serialize>(&self, made: &T, what: &str, secret: &Secret<String>, id: &str) {
        if self.secret_only {
            output::line(secret.expose());
        } else if self.backend.json {
            output::json(made);
        } else {
            output::line(secret.expose());
            output::complain(&format!("id {id}; this is the only time that the {what} is shown"));
        }
    }
}

/// Whose credentials to list.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those of this subject
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// The issuer of that subject; default: Portcullis itself
    #[arg(long, value_name = "ISS", requires = "subject")]
    issuer: Option<String>,
    /// Print ids alone, one a line
    #[arg(long, conflicts_with = "json")]
    ids_only: bool,
    #[command(flatten)]
    pub(super) backend: BackendArgs,
}

impl List {
    pub(super) fn principal(&self) -> Result<Option<Principal>, Failure> {
        let of = |subject: &String| Ok(operations::principal(self.issuer.as_deref(), subject)?);
        self.subject.as_ref().map(of).transpose()
    }

    /// Shows what there is: as JSON, as ids, or as a table whose first column is the id.
    pub(super) fn show<T: Serialize>(&self, all: &[T], header: &[&str], row: impl Fn(&T) -> Vec<String>) {
        if self.backend.json {
            return output::json(&all);
        }
        let rows: Vec<_> = all.iter().map(row).collect();
        if self.ids_only {
            rows.iter().filter_map(|row| row.first()).for_each(|id| output::line(id));
        } else {
            output::table(header, &rows);
        }
    }
}

/// Which credentials.
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// Their public ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    backend: BackendArgs,
}

/// The kinds that are revoked by their public id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Session,
    Key,
}

impl Revoke {
    /// Revokes each of these; says what happened to each, and fails if one failed.
    pub(super) async fn run(&self, kind: Kind) -> Result<(), Failure> {
        let backend = self.backend.open()?;
        let json = |view: serde_json::Result<serde_json::Value>| view.unwrap_or_default();
        let mut done = Vec::with_capacity(self.ids.len());
        let mut failed = Ok(());
        for id in &self.ids {
            let revoked = match kind {
                Kind::Session => backend.revoke_session(id).await.map(|view| json(serde_json::to_value(view))),
                Kind::Key => backend.revoke_key(id).await.map(|view| json(serde_json::to_value(view))),
            };
            match revoked {
                Ok(view) => {
                    if !self.backend.json {
                        output::line(&format!("revoked {id}"));
                    }
                    done.push(view);
                }
                // The first failure decides; the others are tried all the same.
                Err(failure) if failed.is_ok() => failed = Err(failure),
                Err(failure) => drop(failure.report()),
            }
        }
        if self.backend.json {
            output::json(&done);
        }
        failed
    }
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
