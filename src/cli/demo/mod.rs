//! `portcullis demo`: a protected service on this machine, with curl lines to try it.

mod directory;
mod setup;
mod story;
mod upstream;

use std::path::Path;

use tokio::task::LocalSet;

use self::directory::Directory;
use self::setup::Setup;
use self::story::Story;
use super::failure::Failure;
use super::{output, run as serving};
use crate::app::{App, Options, StartError};
use crate::config;
use crate::telemetry::log;

/// Where.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The port on 127.0.0.1; 0 lets the system choose
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Print the lines to try as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    super::block_on(async {
        let local = LocalSet::new();
        local.run_until(demo(args)).await
    })
}

async fn demo(args: &Args) -> Result<(), Failure> {
    // Signals first: whatever ends this must not leave the directory behind.
    let mut signals = serving::signals()?;
    let options = Options::default();
    let directory = Directory::create(&*options.entropy)?;
    let upstream = upstream::start().await?;
    let setup = Setup::write(directory.path(), args.port, upstream, &*options.clock)?;
    let loaded = config::load(&setup.config, &[])?;
    log::start(&loaded.settings.log);
    serving::announce(&loaded);
    let running = App::start(loaded.settings, options.clone()).map_err(|problem| hint(problem, args.port))?;
    serving::announce_addresses(&running);
    tokio::select! {
        _ = running.ready() => {}
        _ = signals.end() => return Err(Failure::Said(1)),
    }
    let address = running.address("demo").ok_or_else(|| Failure::failed("the demo's listener has no address"))?;
    let socket = running.admin_socket().map(Path::to_owned);
    let socket = socket.ok_or_else(|| Failure::failed("the demo's admin socket is not open"))?;
    let story = Story::tell(&setup, address, upstream, &socket, &options).await?;
    if args.json {
        output::json(&story)
    } else {
        story.print()
    }
    serving::serve(running, &mut signals, None).await
}

fn hint(problem: StartError, port: u16) -> Failure {
    match problem {
        StartError::Failed(message) => Failure::failed(format!("{message}\n--port chooses another one than {port}")),
        other => other.into(),
    }
}
