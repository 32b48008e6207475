//! `portcullis check`: say whether a configuration is good, and what it means.

use serde_json::json;

use super::connect::{self, Attempt};
use super::failure::Failure;
use super::locate::ConfigArgs;
use super::output;
use crate::app::App;
use crate::config::{self, EffectiveValue, Loaded, Problems};

/// Which configuration, and what to show.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Show every value that is in force and where it comes from; secrets are masked
    #[arg(long)]
    print: bool,
    /// Try to reach issuers, store and upstreams
    #[arg(long)]
    connect: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let path = args.config.path()?;
    let loaded = match config::load(&path, &args.config.overrides) {
        Ok(loaded) => loaded,
        Err(Problems { problems }) if args.json => {
            output::json(&json!({ "ok": false, "problems": problems }));
            return Err(Failure::Said(2));
        }
        Err(problems) => return Err(problems.into()),
    };
    if let Err(problem) = App::check(&loaded.settings) {
        if args.json {
            output::json(&json!({ "ok": false, "problems": [{ "message": problem.to_string() }] }));
            return Err(Failure::Said(2));
        }
        return Err(problem.into());
    }
    let ending = App::ending(&loaded.settings);
    let attempts = if args.connect { super::block_on(connect::attempts(&loaded.settings))? } else { Vec::new() };
    let failed = attempts.iter().any(|attempt| attempt.problem.is_some());
    if args.json {
        let effective = args.print.then_some(&loaded.effective);
        let attempts = args.connect.then_some(&attempts);
        output::json(&json!({
            "ok": !failed,
            "files": loaded.files,
            "warnings": loaded.warnings.problems,
            "certificates": ending,
            "routes": config::summary(&loaded.settings),
            "effective": effective,
            "connections": attempts,
        }));
    } else {
        show(args, &loaded, &ending, &attempts);
    }
    if failed { Err(Failure::Said(1)) } else { Ok(()) }
}

fn show(args: &Args, loaded: &Loaded, ending: &[String], attempts: &[Attempt]) {
    for warning in &loaded.warnings.problems {
        output::complain(warning.rendered.trim_end());
    }
    for warning in ending {
        output::complain(&format!("warning: {}", output::visible(warning)));
    }
    if args.print {
        loaded.effective.iter().for_each(|value| output::line(&effective(value)));
    } else {
        config::summary(&loaded.settings).iter().for_each(|route| output::line(route));
    }
    for Attempt { what, problem } in attempts {
        match problem {
            None => output::line(&format!("reached  {what}")),
            Some(problem) => output::line(&format!("FAILED   {what}: {}", output::visible(problem))),
        }
    }
    let warnings = match loaded.warnings.problems.len() + ending.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        count => format!(", {count} warnings"),
    };
    output::complain(&format!("the configuration is good{warnings}"));
}

/// As a line of TOML.
fn effective(value: &EffectiveValue) -> String {
    let text = toml::Value::try_from(&value.value).map_or_else(|_| value.value.to_string(), |value| value.to_string());
    format!("{} = {text}  # {}", value.path, value.source)
}
