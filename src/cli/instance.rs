//! Which running instance a verb is for, and its admin socket.

use std::path::PathBuf;

use super::admin_client::AdminClient;
use super::failure::Failure;
use super::locate::ConfigArgs;
use super::values;

/// Which instance.
#[derive(Debug, clap::Args)]
pub(super) struct Instance {
    #[command(flatten)]
    config: ConfigArgs,
    /// The admin socket of a running instance; the configuration is not read then
    #[arg(long, value_name = "SOCKET", value_parser = values::socket)]
    admin: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Instance {
    /// Who asks it; `off` is what to say where the configuration has no admin socket.
    pub(super) fn client(&self, off: &str) -> Result<AdminClient, Failure> {
        let configured = || Ok::<_, Failure>(self.config.load()?.settings.admin.socket);
        let socket = if self.admin.is_some() { self.admin.clone() } else { configured()? };
        socket.map(|socket| AdminClient { socket }).ok_or_else(|| Failure::usage(off))
    }
}

/// What to say where nothing else helps.
pub(super) const NO_SOCKET: &str = "no admin socket is configured to reach the instance: set `admin.socket`";
