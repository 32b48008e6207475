//! `portcullis run`: serve until told to stop.

use super::failure::Failure;
use super::locate::ConfigArgs;
use crate::app::signals::{Asked, Signals};
use crate::app::{App, Drained, Options, Running, Source, process};
use crate::config::{self, Loaded};
use crate::telemetry::log;

/// Which configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let loaded = args.config.load()?;
    log::start(&loaded.settings.log);
    process::raise_file_limit();
    for file in &loaded.files {
        tracing::info!(file = %file.display(), "configuration");
    }
    announce(&loaded);
    super::block_on(async {
        let mut signals = signals()?;
        let source = Source::new(&loaded, args.config.clone().loader());
        let running = App::start(loaded.settings, Options { source: Some(source), ..Options::default() })?;
        announce_addresses(&running);
        serve(running, &mut signals).await
    })
}

/// Signals are kept from now on.
pub(super) fn signals() -> Result<Signals, Failure> {
    Signals::new().map_err(|problem| Failure::failed(format!("cannot listen to signals: {problem}")))
}

/// Warnings, and one line per route.
pub(super) fn announce(loaded: &Loaded) {
    for warning in &loaded.warnings.problems {
        let place = format!("{}:{}:{}", warning.file, warning.line, warning.column);
        tracing::warn!(place, help = warning.help, "{}", warning.message);
    }
    for route in config::summary(&loaded.settings) {
        tracing::info!("{route}");
    }
}

/// Where it listens.
pub(super) fn announce_addresses(running: &Running) {
    for (listener, bind) in running.listeners() {
        tracing::info!(listener = &*listener, %bind, workers = running.worker_count(), "listening");
    }
    if let Some(bind) = running.health_address() {
        tracing::info!(%bind, "health and metrics");
    }
    if let Some(socket) = running.admin_socket() {
        tracing::info!(socket = %socket.display(), "operations");
    }
    if let Some(bind) = running.admin_address() {
        tracing::info!(%bind, "operations, with the token");
    }
}

/// Until a signal asks to end; the second ends at once.
pub(super) async fn serve(mut running: Running, signals: &mut Signals) -> Result<(), Failure> {
    let signal = loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            () = running.failed() => return Err(Failure::failed("a worker broke off; what it said is above")),
        };
        match asked {
            Asked::End(signal) => break signal,
            // The terminal is gone, and there is nothing to read again.
            Asked::Reload if !running.can_reload() => break "SIGHUP",
            Asked::Reload => {
                let reloads = running.reloads();
                // What comes of it is logged where it happens.
                tokio::spawn(async move { reloads.reload("SIGHUP").await });
            }
        }
    };
    // First, so that what the log says is true when it is read.
    running.unready();
    tracing::info!(signal, "draining; a second signal ends at once");
    tokio::select! {
        drained = running.shutdown() => {
            match drained {
                Drained::Completely => tracing::info!("ended"),
                Drained::CutOff => tracing::warn!("ended; what was still in flight after `shutdown_grace` was cut off"),
            }
            Ok(())
        }
        signal = signals.end() => {
            tracing::warn!(signal, "ended at once");
            Err(Failure::Said(1))
        }
    }
}
