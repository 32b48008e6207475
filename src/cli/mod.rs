//! The command line: one file per verb.
//!
//! Exit codes: 0, 1 (refused or failed), 2 (bad usage or configuration).

mod admin_client;
mod backend;
mod certs;
mod check;
mod completions;
mod connect;
mod credentials;
mod demo;
mod failure;
mod health;
mod init;
mod instance;
mod keys;
mod locate;
mod maintenance;
mod output;
mod reload;
mod revocations;
mod revoke;
mod run;
mod schema;
mod sessions;
mod tokens;
mod upstreams;
mod values;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::failure::Failure;
use crate::app::process;

/// Runs the verb that the process's arguments name.
pub fn main() -> ExitCode {
    process::protect_memory();
    match CommandLine::try_parse() {
        Ok(CommandLine { verb }) => verb.run().map_or_else(Failure::report, |()| ExitCode::SUCCESS),
        Err(answer) => {
            // Help and version come this way too. Nobody reads them where standard output is closed.
            let _ = answer.print();
            u8::try_from(answer.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

/// Authentication, authorization and rate limits in front of any HTTP service.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve.
    Run(run::Args),
    /// Put the configuration in force as it is now, and say what came of it: exit code 0, or 1 and why not.
    Reload(instance::Instance),
    /// Say whether a configuration is good, and what it means.
    Check(check::Args),
    /// Start a protected service on this machine, with curl lines to try it.
    Demo(demo::Args),
    /// Say whether the running instance is ready: exit code 0, or 1 and why not.
    Health(health::Args),
    /// Make, show and revoke API keys.
    #[command(subcommand)]
    Keys(keys::Verb),
    /// Make, show and revoke sessions.
    #[command(subcommand)]
    Sessions(sessions::Verb),
    /// Revoke anything: it is refused everywhere at once.
    #[command(subcommand)]
    Revoke(revoke::Verb),
    /// Show what is revoked.
    #[command(subcommand)]
    Revocations(revocations::Verb),
    /// Take a running instance out of service for maintenance, and back.
    #[command(subcommand)]
    Maintenance(maintenance::Verb),
    /// Make certificates for development; show what is in any file of certificates, keys and revocation lists.
    #[command(subcommand)]
    Certs(certs::Verb),
    /// Make tokens with a development key; take tokens apart.
    #[command(subcommand)]
    Tokens(tokens::Verb),
    /// Show the endpoints of a running instance's upstreams: how each stands, and why.
    Upstreams(instance::Instance),
    /// Print a commented configuration to begin with.
    Init(init::Args),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print completions for a shell.
    Completions(completions::Args),
}

impl Verb {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Run(args) => run::run(&args),
            Self::Reload(args) => reload::run(&args),
            Self::Check(args) => check::run(&args),
            Self::Demo(args) => demo::run(&args),
            Self::Health(args) => health::run(&args),
            Self::Keys(verb) => keys::run(verb),
            Self::Sessions(verb) => sessions::run(verb),
            Self::Revoke(verb) => revoke::run(verb),
            Self::Revocations(verb) => revocations::run(verb),
            Self::Maintenance(verb) => maintenance::run(verb),
            Self::Certs(verb) => certs::run(verb),
            Self::Tokens(verb) => tokens::run(verb),
            Self::Upstreams(args) => upstreams::run(&args),
            Self::Init(args) => init::run(&args),
            Self::Schema => schema::run(),
            Self::Completions(args) => completions::run(&args),
        }
    }
}

/// A runtime for verbs that do one thing and end.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build();
    let runtime = runtime.map_err(|problem| Failure::failed(format!("cannot start a runtime: {problem}")))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_verb_says_what_it_does() {
        fn check(command: &clap::Command) {
            for verb in command.get_subcommands() {
                assert!(verb.get_about().is_some(), "`{}` has no description", verb.get_name());
                for argument in verb.get_arguments() {
                    let described = argument.get_help().is_some();
                    assert!(described, "`{}` of `{}` has no description", argument.get_id(), verb.get_name());
                }
                check(verb);
            }
        }
        check(&CommandLine::command());
    }
}
