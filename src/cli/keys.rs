//! `portcullis keys`: API keys.

use std::time::Duration;

use ipnet::IpNet;

use super::backend::BackendArgs;
use super::credentials::{Created, Grants, Kind, List, Revoke, joined, owner, some};
use super::failure::Failure;
use super::{output, values};
use crate::admin::NewKey;

/// What to do with API keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make a key; its text is printed once and never again.
    Create(Create),
    /// List keys, oldest first.
    List(List),
    /// Show one key.
    Show(Show),
    /// Revoke keys: they are refused everywhere at once.
    Revoke(Revoke),
}

/// A new key.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    #[command(flatten)]
    grants: Grants,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// A network that may use it, such as 10.0.0.0/8; can be repeated; default: any
    #[arg(long = "network", value_name = "NETWORK", value_delimiter = ',')]
    networks: Vec<IpNet>,
    /// When it ends, such as 90d; default: when it is revoked
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    created: Created,
}

/// Which key.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Its public id
    id: String,
    #[command(flatten)]
    backend: BackendArgs,
}

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    super::block_on(async {
        match verb {
            Verb::Create(args) => create(args).await,
            Verb::List(args) => list(args).await,
            Verb::Show(args) => show(args).await,
            Verb::Revoke(args) => args.run(Kind::Key).await,
        }
    })
}

async fn create(args: Create) -> Result<(), Failure> {
    let Create { grants, label, networks, expires_in, created } = args;
    let expires_in_seconds = expires_in.map(|time| time.as_secs());
    let new = NewKey { grants: grants.into(), label, networks, expires_in_seconds };
    let made = created.backend.open()?.create_key(new).await?;
    created.show(&made, "key", &made.key, &made.record.id);
    Ok(())
}

async fn list(args: List) -> Result<(), Failure> {
    let keys = args.backend.open()?.list_keys(args.principal()?.as_ref()).await?;
    let header = ["ID", "STATE", "SUBJECT", "ROLES", "SCOPES", "CREATED", "EXPIRES", "USED", "LABEL"];
    args.show(&keys, &header, |key| {
        vec![
            key.id.to_string(),
            key.state.name().to_owned(),
            owner(&key.issuer, &key.subject),
            joined(&key.roles),
            joined(&key.scopes),
            key.created_at.clone(),
            key.expires_at.clone().unwrap_or_else(|| "-".to_owned()),
            key.used_at.clone().unwrap_or_else(|| "-".to_owned()),
            key.label.as_deref().unwrap_or_default().to_owned(),
        ]
    });
    Ok(())
}

async fn show(args: Show) -> Result<(), Failure> {
    let key = args.backend.open()?.show_key(&args.id).await?;
    if args.backend.json {
        output::json(&key);
        return Ok(());
    }
    let networks = key.networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    output::fields(&[
        ("id", Some(key.id.to_string())),
        ("state", Some(key.state.name().to_owned())),
        ("issuer", Some(key.issuer.to_string())),
        ("subject", Some(key.subject.to_string())),
        ("label", key.label.as_deref().map(str::to_owned)),
        ("roles", some(&key.roles)),
        ("scopes", some(&key.scopes)),
        ("groups", some(&key.groups)),
        ("tenant", key.tenant.as_deref().map(str::to_owned)),
        ("networks", Some(networks).filter(|networks| !networks.is_empty())),
        ("created", Some(key.created_at)),
        ("expires", key.expires_at),
        ("used", key.used_at),
        ("revoked", key.revoked_at),
    ]);
    Ok(())
}
