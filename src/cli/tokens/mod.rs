//! `portcullis tokens`: for development and for finding out what is wrong with one.

mod inspect;
mod key_file;
mod mint;

use std::path::PathBuf;

pub(super) use self::mint::NewToken;
use super::failure::Failure;
use super::output;

/// What to do with tokens.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make a token with a development key.
    Mint(mint::Args),
    /// Show what a token says; with a configuration, also what its issuer there makes of it.
    Inspect(inspect::Args),
    /// Print the public half of a development key as a JWKS, for `keys = { jwks_file = "…" }`.
    Jwks(JwksArgs),
}

/// Which key.
#[derive(Debug, clap::Args)]
pub(super) struct JwksArgs {
    /// The private key, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Mint(args) => mint::run(args),
        Verb::Inspect(args) => super::block_on(inspect::run(args)),
        Verb::Jwks(args) => {
            output::json(&key_file::read(&args.key)?.jwks());
            Ok(())
        }
    }
}
