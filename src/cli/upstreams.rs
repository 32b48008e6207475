//! `portcullis upstreams`: how the endpoints stand that a running instance sends requests to.

use super::failure::Failure;
use super::instance::{Instance, NO_SOCKET};
use super::output;
use crate::admin::views::UpstreamView;

pub(super) fn run(instance: &Instance) -> Result<(), Failure> {
    let client = instance.client(NO_SOCKET)?;
    let found: Vec<UpstreamView> = super::block_on(async { client.get("/v1/upstreams").await })?;
    if instance.json {
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
