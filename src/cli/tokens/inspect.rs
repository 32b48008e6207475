//! `portcullis tokens inspect`.

use std::io::Read;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::admin::views::rfc3339;
use crate::cli::failure::Failure;
use crate::cli::locate::ConfigArgs;
use crate::cli::output;
use crate::crypto::Issuers;
use crate::model::observer::Unobserved;
use crate::model::{Clock, SystemClock, Timestamp};

/// Which token, and who is to judge it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The token, or `-` to read it from standard input (it is not left in the shell's history then)
    #[arg(default_value = "-")]
    token: String,
    #[command(flatten)]
    config: ConfigArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Longest token that is read.
const MAX_SIZE: u64 = 1024 * 1024;

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let token = read(&args.token)?;
    let (header, claims) = parts(&token).map_err(Failure::failed)?;
    let verdict = match args.config.config {
        Some(_) => Some(judge(&args.config, &token).await?),
        None => None,
    };
    if args.json {
        let verdict = verdict.as_ref().map(|verdict| match verdict {
            Ok(issuer) => json!({ "valid": true, "issuer": issuer }),
            Err(why) => json!({ "valid": false, "reason": why }),
        });
        output::json(&json!({ "header": header, "claims": claims, "verdict": verdict }));
    } else {
        show(&header, &claims, verdict.as_ref());
    }
    match verdict {
        Some(Err(_)) => Err(Failure::Said(1)),
        _ => Ok(()),
    }
}

fn read(token: &str) -> Result<String, Failure> {
    let mut text = token.to_owned();
    if token == "-" {
        text.clear();
        let read = std::io::stdin().lock().take(MAX_SIZE).read_to_string(&mut text);
        read.map_err(|problem| Failure::failed(format!("standard input: {problem}")))?;
    }
    let text = text.trim();
    Ok(text.strip_prefix("Bearer ").unwrap_or(text).to_owned())
}

/// Header and claims, without any verification.
fn parts(token: &str) -> Result<(Value, Value), String> {
    let mut segments = token.split('.');
    let (Some(header), Some(claims), Some(_), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err("this is no JWT: three segments separated by dots are wanted".to_owned());
    };
    let decode = |name: &str, segment: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(segment);
        let bytes = bytes.map_err(|_| format!("this is no JWT: its {name} is not base64url without padding"))?;
        serde_json::from_slice(&bytes).map_err(|problem| format!("this is no JWT: its {name} is no JSON: {problem}"))
    };
    Ok((decode("header", header)?, decode("payload", claims)?))
}

/// What the configured issuer says: its name, or why not.
async fn judge(config: &ConfigArgs, token: &str) -> Result<Result<String, String>, Failure> {
    let settings = config.load()?.settings;
    let clock = Arc::new(SystemClock);
    let issuers = Issuers::new(&settings.issuers, clock.clone(), Arc::new(Unobserved))
        .map_err(|problem| Failure::usage(problem.to_string()))?;
    for problem in issuers.refresh().await {
        output::complain(&format!("warning: {problem}"));
    }
    let verdict = issuers.verify(token, clock.now()).await;
    Ok(verdict.map(|token| format!("issuer.{}", token.issuer.name)).map_err(|denial| denial.to_string()))
}

fn show(header: &Value, claims: &Value, verdict: Option<&Result<String, String>>) {
    output::line("header (not verified)");
    members(header);
    output::line("claims (not verified)");
    members(claims);
    match verdict {
        Some(Ok(issuer)) => output::line(&format!("valid: {issuer}")),
        Some(Err(why)) => output::line(&format!("refused: {}", output::visible(why))),
        None => {}
    }
}

fn members(value: &Value) {
    let Some(members) = value.as_object() else {
        output::line(&format!("  {value}"));
        return;
    };
    for (name, value) in members {
        let time = match name.as_str() {
            "exp" | "iat" | "nbf" | "auth_time" => value.as_u64().map(|time| rfc3339(Timestamp::from_secs(time))),
            _ => None,
        };
        let time = time.map(|time| format!("  ({time})")).unwrap_or_default();
        output::line(&format!("  {}: {}{time}", output::visible(name), output::visible(&value.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_said_to_be_none() {
        assert!(parts("a.b").is_err());
        assert!(parts("a.b.c.d").is_err());
        assert!(parts("!.e30.x").unwrap_err().contains("header"));
        assert!(parts("e30.bm8.x").unwrap_err().contains("payload is no JSON"));
        assert_eq!(parts("e30.eyJzdWIiOiJhIn0.x"), Ok((json!({}), json!({ "sub": "a" }))));
    }
}
