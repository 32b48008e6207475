//! `portcullis upstreams`: how the endpoints stand that a running instance sends requests to.

use std::path::PathBuf;

use super::admin_client::AdminClient;
use super::failure::Failure;
use super::locate::ConfigArgs;
use super::{output, values};
use crate::admin::views::UpstreamView;

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

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let socket =
        match &args.admin {
            Some(socket) => socket.clone(),
            None => args.config.load()?.settings.admin.socket.clone().ok_or_else(|| {
                Failure::usage("no admin socket is configured to reach the instance: set `admin.socket`")
            })?,
        };
    let found: Vec<UpstreamView> = super::block_on(async { AdminClient { socket }.get("/v1/upstreams").await })?;
    if args.json {
        output::json(&found);
        return Ok(());
    }
    output::table(&["UPSTREAM", "ENDPOINT", "STATE", "WHY"], &rows(&found));
    for upstream in found.iter().filter(|upstream| upstream.panic) {
        output::complain(&format!("{}: too few endpoints are well, so all get requests", upstream.name));
    }
    Ok(())
}

fn rows(found: &[UpstreamView]) -> Vec<Vec<String>> {
    let of = |upstream: &UpstreamView| {
        let row = |endpoint: &crate::admin::views::EndpointView| {
            let why = endpoint.why.clone().unwrap_or_default();
            vec![upstream.name.to_string(), endpoint.endpoint.clone(), endpoint.state.clone(), why]
        };
        upstream.endpoints.iter().map(row).collect::<Vec<_>>()
    };
    found.iter().flat_map(of).collect()
}
