//! `portcullis sessions`: sessions of browsers.

use super::backend::BackendArgs;
use super::credentials::{Grants, Owner, each, joined, owner};
use super::failure::Failure;
use super::output;
use crate::admin::NewSession;
use crate::admin::views::{CreatedSession, SessionView};

/// What to do with sessions.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make a session, as if its subject had just logged in; its cookie is printed once and never again.
    Create(Create),
    /// List live sessions, oldest first.
    List(List),
    /// End sessions: they are refused everywhere at once.
    Revoke(Revoke),
}

/// A new session.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    #[command(flatten)]
    grants: Grants,
    /// E-mail address of the subject
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Display name of the subject
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Print the cookie alone
    #[arg(long, conflicts_with = "json")]
    secret_only: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Which sessions.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Which sessions.
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// Their public ids
    #[arg(required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    backend: BackendArgs,
}

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    super::block_on(async {
        match verb {
            Verb::Create(args) => create(args).await,
            Verb::List(args) => list(args).await,
            Verb::Revoke(args) => {
                let backend = args.backend.open()?;
                each(&args.ids, args.backend.json, |id| backend.revoke_session(id)).await
            }
        }
    })
}

async fn create(args: Create) -> Result<(), Failure> {
    let Create { grants, email, name, secret_only, backend } = args;
    let new = NewSession {
        subject: grants.subject,
        issuer: grants.issuer,
        roles: grants.roles,
        scopes: grants.scopes,
        groups: grants.groups,
        tenant: grants.tenant,
        email,
        name,
    };
    let created = backend.open()?.create_session(new).await?;
    let CreatedSession { cookie, session } = &created;
    if secret_only {
        output::line(cookie.expose());
    } else if backend.json {
        output::json(&created);
    } else {
        output::line(cookie.expose());
        output::complain(&format!("id {}; this is the only time that the cookie is shown", session.id));
    }
    Ok(())
}

async fn list(args: List) -> Result<(), Failure> {
    let sessions = args.backend.open()?.list_sessions(args.owner.principal()?.as_ref()).await?;
    if args.backend.json {
        output::json(&sessions);
    } else if args.owner.ids_only {
        sessions.iter().for_each(|session| output::line(&session.id));
    } else {
        let row = |session: &SessionView| {
            vec![
                session.id.to_string(),
                owner(&session.issuer, &session.subject),
                joined(&session.roles),
                session.created_at.clone(),
                session.seen_at.clone(),
                session.ends_at.clone(),
            ]
        };
        let header = ["ID", "SUBJECT", "ROLES", "CREATED", "SEEN", "ENDS"];
        output::table(&header, &sessions.iter().map(row).collect::<Vec<_>>());
    }
    Ok(())
}
