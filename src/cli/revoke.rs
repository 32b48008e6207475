//! `portcullis revoke`: any credential, or all of somebody.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::backend::BackendArgs;
use super::credentials::{self, Kind};
use super::failure::Failure;
use super::{output, revocations, values};
use crate::admin;
use crate::admin::views::rfc3339;
use crate::crypto::certificate;
use crate::model::Secret;

/// What to revoke.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// End sessions, as `sessions revoke` does.
    Session(credentials::Revoke),
    /// Revoke API keys, as `keys revoke` does.
    Key(credentials::Revoke),
    /// Revoke everything that a subject has been given so far: tokens, sessions, API keys, certificates.
    Subject(Subject),
    /// Revoke a token; its text is read from standard input.
    Token(Token),
    /// Revoke a client certificate.
    Certificate(Certificate),
}

/// Whose credentials.
#[derive(Debug, clap::Args)]
pub(super) struct Subject {
    /// Whose
    subject: String,
    /// The issuer of that subject: its name in the configuration, its URL, `mtls` or `basic`; default: Portcullis itself
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Only what was issued before then, such as 2026-01-31T12:00:00Z; default: now
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// For certificates and passwords, which do not say when they were issued, so that new ones are refused too, and for
    /// sessions of the application: for how long; default: for ever
    #[arg(long = "for", value_name = "DURATION", value_parser = values::duration)]
    lasting: Option<Duration>,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Which token.
#[derive(Debug, clap::Args)]
pub(super) struct Token {
    /// Read the token from this file instead of standard input
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    file: Option<PathBuf>,
    /// Its issuer, if there is nothing but the id: its name in the configuration, or its URL
    #[arg(long, value_name = "NAME", requires = "id")]
    issuer: Option<String>,
    /// Its `jti`
    #[arg(long, value_name = "JTI", requires = "issuer")]
    id: Option<String>,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Which certificate.
#[derive(Debug, clap::Args)]
pub(super) struct Certificate {
    /// Its SHA-256 fingerprint, with or without colons; it is remembered for ever
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    fingerprint: Option<String>,
    /// The certificate itself, PEM (of a chain: its first); it is remembered until it ends
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArgs,
}

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    super::block_on(async {
        match verb {
            Verb::Session(args) => args.run(Kind::Session).await,
            Verb::Key(args) => args.run(Kind::Key).await,
            Verb::Subject(args) => {
                let Subject { subject, issuer, before, lasting, backend } = args;
                let for_seconds = lasting.map(|time| time.as_secs());
                revoke(&backend, admin::Revoke::Subject { subject, issuer, before, for_seconds }).await
            }
            Verb::Token(args) => revoke(&args.backend, token(&args)?).await,
            Verb::Certificate(args) => revoke(&args.backend, certificate(&args)?).await,
        }
    })
}

async fn revoke(backend: &BackendArgs, what: admin::Revoke) -> Result<(), Failure> {
    let revoked = backend.open()?.revoke(what).await?;
    if backend.json {
        output::json(&revoked);
        return Ok(());
    }
    for view in &revoked.in_force {
        let (kind, what) = (&view.kind, output::visible(&revocations::what(view)));
        output::line(&format!("revoked {kind} {what}, until {}", view.until));
    }
    if revoked.sessions + revoked.api_keys > 0 {
        output::line(&format!("ended {} live sessions and {} API keys", revoked.sessions, revoked.api_keys));
    }
    Ok(())
}

fn token(args: &Token) -> Result<admin::Revoke, Failure> {
    if let (Some(issuer), Some(id)) = (&args.issuer, &args.id) {
        return Ok(admin::Revoke::TokenId { issuer: issuer.clone(), id: id.clone() });
    }
    let mut text = Zeroizing::new(String::new());
    let read = match &args.file {
        Some(path) => open(path)?.take(MAX_SIZE).read_to_string(&mut text),
        None => {
            if std::io::stdin().is_terminal() {
                output::complain("reading the token from standard input; end it with Ctrl-D");
            }
            std::io::stdin().lock().take(MAX_SIZE).read_to_string(&mut text)
        }
    };
    read.map_err(|problem| Failure::failed(format!("the token cannot be read: {problem}")))?;
    let text = text.trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::usage("there is no token on standard input; --file names a file that holds one"));
    }
    Ok(admin::Revoke::Token { token: Secret::new(text.to_owned()) })
}

/// Longest file: more than any token or certificate.
const MAX_SIZE: u64 = 60 * 1024;

fn certificate(args: &Certificate) -> Result<admin::Revoke, Failure> {
    let Some(path) = &args.file else {
        let fingerprint = args.fingerprint.clone().unwrap_or_default();
        return Ok(admin::Revoke::Certificate { fingerprint, not_after: None });
    };
    // The file may hold the key as well: nothing of it is sent on.
    let mut pem = Zeroizing::new(Vec::new());
    let read = open(path)?.take(MAX_SIZE).read_to_end(&mut pem);
    read.map_err(|problem| Failure::failed(format!("`{}`: {problem}", path.display())))?;
    let leaf = certificate::leaf(&pem).ok_or_else(|| {
        Failure::usage(format!("`{}`: there is no certificate in it (PEM is wanted)", path.display()))
    })?;
    Ok(admin::Revoke::Certificate { fingerprint: leaf.fingerprint, not_after: Some(rfc3339(leaf.not_after)) })
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|problem| Failure::usage(format!("`{}`: {problem}", path.display())))
}
