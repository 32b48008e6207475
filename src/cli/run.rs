//! `portcullis run`: serve until told to stop.

use std::pin::pin;

use super::failure::Failure;
use super::locate::ConfigArgs;
use crate::app::signals::{Asked, Signals};
use crate::app::{App, Drained, Inheritance, Line, Options, Program, Running, Source, notify, process};
use crate::config::{self, Loaded};
use crate::telemetry::log;

/// Which configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    // Before anything can change the directory that it is relative to.
    let program = Program::of_this_process();
    let program = program.map_err(|problem| Failure::failed(format!("cannot tell what this program is: {problem}")))?;
    let Some((inheritance, line)) = Inheritance::claim().map_err(Failure::failed)? else {
        return start(args, &program, None);
    };
    let heard = line.another();
    let outcome = start(args, &program, Some((inheritance, line)));
    if let (Err(failure), Ok(mut line)) = (&outcome, heard)
        && let Some(message) = failure.message()
    {
        line.fail(&message);
    }
    outcome
}

fn start(args: &Args, program: &Program, before: Option<(Inheritance, Line)>) -> Result<(), Failure> {
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
        let options = Options { source: Some(source), ..Options::default() };
        let (inheritance, line) = before.unzip();
        let mut running = App::start_with(loaded.settings, options, inheritance)?;
        announce_addresses(&running);
        if let Some(line) = line {
            tokio::select! {
                outcome = running.take_over(line) => outcome.map_err(Failure::failed)?,
                _ = signals.end() => return Err(Failure::Said(1)),
            }
            tracing::info!(pid = std::process::id(), "took the place of the process before");
        }
        running.tell_once_ready();
        serve(running, &mut signals, Some(program)).await
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

/// Until a signal asks to end, or another process has taken the place of this one; the second signal ends at once.
/// `program`: what to start for that; `None`: nothing can.
pub(super) async fn serve(
    mut running: Running,
    signals: &mut Signals,
    program: Option<&Program>,
) -> Result<(), Failure> {
    let signal = loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            () = running.failed() => return Err(Failure::failed(BROKE_OFF)),
        };
        match (asked, program) {
            (Asked::End(signal), _) => break signal,
            // The terminal is gone, and there is nothing to read again.
            (Asked::Reload, _) if !running.can_reload() => break "SIGHUP",
            (Asked::Reload, _) => reload(&running),
            (Asked::Upgrade, None) => tracing::warn!("this instance cannot be upgraded"),
            (Asked::Upgrade, Some(program)) => match upgrade(&mut running, signals, program).await? {
                Upgraded::HandedOver => return finish(running, signals).await,
                Upgraded::ServesOn => {}
                Upgraded::Asked(signal) => break signal,
            },
        }
    };
    // First, so that what the log says is true when it is read.
    running.unready();
    notify::send("STOPPING=1");
    tracing::info!(signal, "draining; a second signal ends at once");
    drained(running.shutdown(), signals).await
}

const BROKE_OFF: &str = "a worker broke off; what it said is above";

fn reload(running: &Running) {
    let reloads = running.reloads();
    // What comes of it is logged where it happens.
    tokio::spawn(async move {
        notify::reloading();
        reloads.reload("SIGHUP").await;
        notify::send("READY=1");
    });
}

/// What came of an upgrade.
enum Upgraded {
    /// Another process accepts now.
    HandedOver,
    /// It failed, which is logged.
    ServesOn,
    /// A signal of this name has asked to end meanwhile.
    Asked(&'static str),
}

async fn upgrade(running: &mut Running, signals: &mut Signals, program: &Program) -> Result<Upgraded, Failure> {
    let upgrade = match running.upgrade(program) {
        Ok(upgrade) => upgrade,
        Err(why) => return Ok(serves_on(&why)),
    };
    let pid = upgrade.id();
    tracing::info!(pid, "upgrade: a new process is started");
    let mut completed = pin!(upgrade.complete());
    loop {
        let asked = tokio::select! {
            outcome = &mut completed => return Ok(match outcome {
                Ok(()) => {
                    tracing::info!(pid, "upgrade: the new process accepts; finishing what has begun");
                    Upgraded::HandedOver
                }
                Err(why) => serves_on(&why),
            }),
            asked = signals.next() => asked,
            () = running.failed() => return Err(Failure::failed(BROKE_OFF)),
        };
        match asked {
            Asked::End(signal) => return Ok(Upgraded::Asked(signal)),
            Asked::Upgrade => tracing::warn!("an upgrade is under way already"),
            Asked::Reload => {
                tracing::warn!("not reloaded: an upgrade is under way, which reads the configuration as well")
            }
        }
    }
}

fn serves_on(why: &str) -> Upgraded {
    tracing::error!("upgrade failed; this process serves on");
    why.lines().for_each(|line| tracing::error!("{line}"));
    Upgraded::ServesOn
}

async fn finish(running: Running, signals: &mut Signals) -> Result<(), Failure> {
    drained(running.finish(), signals).await
}

/// Until it has ended; a signal ends it at once.
async fn drained(ending: impl Future<Output = Drained>, signals: &mut Signals) -> Result<(), Failure> {
    tokio::select! {
        drained = ending => {
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
