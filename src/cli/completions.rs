//! `portcullis completions`: for shells.

use clap::CommandFactory;

use super::failure::Failure;
use super::{CommandLine, output};

/// For which shell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "portcullis", &mut script);
    output::raw(&script);
    Ok(())
}
