//! `[spiffe]`

use crate::config::keys::{Key, Shape};
use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::model::settings::SpiffeSettings;

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("socket", Shape::Text, "`\"unix:PATH\"`: where the agent serves the Workload API.").required(),
    Key::new(
        "directory",
        Shape::Path,
        "Where `svid.pem`, `svid.key` and `bundle.pem` are kept, to be named like any other certificates; best in memory.",
    )
    .required(),
];

pub(in crate::config) fn read(context: &Context<'_>) -> Option<SpiffeSettings> {
    let section = context.section("spiffe")?;
    if context.section("server").is_some_and(|server| !server.boolean("watch")) {
        let fault = Fault::new("SVIDs that are renewed would not be taken up");
        section.problem("directory", fault.help("server.watch = true"));
    }
    let path = section.text("socket")?;
    let path = path.strip_prefix("unix:").unwrap_or(path);
    if path.is_empty() || path.contains("://") {
        let fault = Fault::new("the agent is reached by a Unix socket alone");
        section.problem("socket", fault.help("socket = \"unix:/run/spire/agent.sock\""));
    }
    let socket = context.sources.base(section.place_of("socket")).join(path);
    let directory = context.sources.base(section.place_of("directory")).join(section.text("directory")?);
    Some(SpiffeSettings { socket, directory })
}
