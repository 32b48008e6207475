//! `portcullis revocations`: what is revoked.

use super::backend::BackendArgs;
use super::credentials::owner;
use super::failure::Failure;
use super::output;
use crate::admin::operations::DEFAULT_LIMIT;
use crate::admin::views::RevocationView;

/// What to do with revocations.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List what is revoked, until the credentials would have ended by themselves.
    List(List),
}

/// Which revocations.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only of this kind: token, principal_before, session, sessions, family, api_key, certificate
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// So many at most
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_LIMIT)]
    limit: usize,
    #[command(flatten)]
    backend: BackendArgs,
}

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    let Verb::List(args) = verb;
    super::block_on(list(args))
}

async fn list(args: List) -> Result<(), Failure> {
    let found = args.backend.open()?.list_revocations(args.kind.as_deref(), args.limit).await?;
    if args.backend.json {
        output::json(&found);
        return Ok(());
    }
    let row = |view: &RevocationView| vec![view.kind.clone(), what(view), view.until.clone()];
    output::table(&["KIND", "WHAT", "UNTIL"], &found.revocations.iter().map(row).collect::<Vec<_>>());
    let left = found.total.saturating_sub(found.revocations.len());
    if left > 0 {
        output::complain(&format!("{left} more; --limit shows more of them, --kind those of one kind"));
    }
    Ok(())
}

/// What is revoked, in words.
pub(super) fn what(view: &RevocationView) -> String {
    let issuer = view.issuer.as_deref().unwrap_or_default();
    match (&view.subject, &view.id, &view.before) {
        (Some(subject), _, Some(before)) => format!("{} before {before}", owner(issuer, subject)),
        (Some(subject), _, None) => owner(issuer, subject),
        (None, Some(id), _) if issuer.is_empty() => id.to_string(),
        (None, id, _) => format!("{issuer} {}", id.as_deref().unwrap_or_default()),
    }
}
