//! `portcullis sessions`: sessions of browsers.

use super::credentials::{Created, Grants, Kind, List, Revoke, joined, owner};
use super::failure::Failure;
use crate::admin::NewSession;

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
    #[command(flatten)]
    created: Created,
}

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    super::block_on(async {
        match verb {
            Verb::Create(args) => create(args).await,
            Verb::List(args) => list(args).await,
            Verb::Revoke(args) => args.run(Kind::Session).await,
        }
    })
}

async fn create(args: Create) -> Result<(), Failure> {
    let Create { grants, email, name, created } = args;
    let new = NewSession { grants: grants.into(), email, name };
    let made = created.backend.open()?.create_session(new).await?;
    created.show(&made, "cookie", &made.cookie, &made.session.id);
    Ok(())
}

async fn list(args: List) -> Result<(), Failure> {
    let sessions = args.backend.open()?.list_sessions(args.principal()?.as_ref()).await?;
    args.show(&sessions, &["ID", "SUBJECT", "ROLES", "CREATED", "SEEN", "ENDS"], |session| {
        vec![
            session.id.to_string(),
            owner(&session.issuer, &session.subject),
            joined(&session.roles),
            session.created_at.clone(),
            session.seen_at.clone(),
            session.ends_at.clone(),
        ]
    });
    Ok(())
}
