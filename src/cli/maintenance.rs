//! `portcullis maintenance`: takes a running instance out of service, and back.

use super::failure::Failure;
use super::instance::{Instance, NO_SOCKET};
use super::output;
use crate::admin::views::Maintenance;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Answer every request with 503 until it is switched off or the instance ends
    On(Instance),
    /// Serve again, but for what the configuration itself says is under maintenance
    Off(Instance),
    /// Say whether it is switched on
    Show(Instance),
}

const PATH: &str = "/v1/maintenance";

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    let (Verb::On(instance) | Verb::Off(instance) | Verb::Show(instance)) = &verb;
    let admin = instance.client(NO_SOCKET)?;
    let state: Maintenance = super::block_on(async {
        match &verb {
            Verb::On(_) => admin.post(PATH, &()).await,
            Verb::Off(_) => admin.delete(PATH).await,
            Verb::Show(_) => admin.get(PATH).await,
        }
    })?;
    if instance.json {
        output::json(&state);
    } else {
        output::line(if state.switched_on { "on" } else { "off" });
    }
    Ok(())
}
