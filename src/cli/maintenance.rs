//! `portcullis maintenance`: takes a running instance out of service, and back.

use std::path::PathBuf;

use super::admin_client::AdminClient;
use super::failure::Failure;
use super::locate::ConfigArgs;
use super::{output, values};
use crate::admin::views::Maintenance;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Answer every request with 503 until it is switched off or the instance ends
    On(Args),
    /// Serve again, but for what the configuration itself says is under maintenance
    Off(Args),
    /// Say whether it is switched on
    Show(Args),
}

/// Which instance.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The admin socket of a running instance; the configuration is not read then
    #[arg(long, value_name = "SOCKET", value_parser = values::socket)]
    admin: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const PATH: &str = "/v1/maintenance";

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    let (Verb::On(args) | Verb::Off(args) | Verb::Show(args)) = &verb;
    let admin = args.instance()?;
    let state: Maintenance = super::block_on(async {
        match &verb {
            Verb::On(_) => admin.post(PATH, &()).await,
            Verb::Off(_) => admin.delete(PATH).await,
            Verb::Show(_) => admin.get(PATH).await,
        }
    })?;
    if args.json {
        output::json(&state);
    } else {
        output::line(if state.switched_on { "on" } else { "off" });
    }
    Ok(())
}

impl Args {
    fn instance(&self) -> Result<AdminClient, Failure> {
        if let Some(socket) = &self.admin {
            return Ok(AdminClient { socket: socket.clone() });
        }
        match self.config.load()?.settings.admin.socket {
            Some(socket) => Ok(AdminClient { socket }),
            None => Err(Failure::usage("no admin socket is configured to reach the instance: set `admin.socket`")),
        }
    }
}
