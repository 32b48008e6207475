//! `portcullis certs`: certificates for development, and what is in any file of them.

mod authority;
mod crl;
mod files;
mod issue;
mod show;

use super::failure::Failure;

/// What to do with certificates.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make a CA for development: whoever trusts it trusts all that its key signs.
    Ca(authority::Args),
    /// Make a certificate for a server.
    Server(issue::Server),
    /// Make a certificate for a client.
    Client(issue::Client),
    /// Make a revocation list of a development CA, or add to the one that is there.
    Crl(crl::Args),
    /// Show what is in files of certificates, keys and revocation lists, and what is wrong with it: exit code 0, or 1.
    Show(show::Args),
}

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Ca(args) => authority::run(&args),
        Verb::Server(args) => issue::server(&args),
        Verb::Client(args) => issue::client(&args),
        Verb::Crl(args) => crl::run(&args),
        Verb::Show(args) => show::run(&args),
    }
}
