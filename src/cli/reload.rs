//! `portcullis reload`: puts the configuration of a running instance in force as it is now.

use std::path::PathBuf;

use super::admin_client::AdminClient;
use super::failure::Failure;
use super::locate::ConfigArgs;
use super::{output, values};
use crate::admin::ReloadView;

/// Which instance.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Its admin socket; the configuration is not read here then
    #[arg(long, value_name = "SOCKET", value_parser = values::socket)]
    admin: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let socket = match &args.admin {
        Some(socket) => socket.clone(),
        None => {
            let socket = args.config.load()?.settings.admin.socket;
            socket
                .ok_or_else(|| Failure::usage("`admin.socket` is off, so nobody can be asked; send SIGHUP instead"))?
        }
    };
    super::block_on(async {
        // It says why not in the words in which start would.
        let outcome: ReloadView = AdminClient { socket }.post("/v1/reload", &serde_json::Map::new()).await?;
        if args.json {
            output::json(&outcome);
        } else {
            output::line(&format!("reloaded; configuration {} is in force", outcome.configuration));
        }
        Ok(())
    })
}
