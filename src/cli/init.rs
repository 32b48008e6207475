//! `portcullis init`: a commented configuration to begin with.

use super::failure::Failure;
use super::output;
use crate::config;

/// What is to be protected, and who signs its tokens.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service to protect, such as `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// The exact `iss` of tokens, such as `https://id.example.com`
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// What tokens for this service have in `aud`
    #[arg(long, value_name = "NAME")]
    audience: String,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let text = config::template(&args.upstream, &args.issuer, &args.audience);
    config::parse(&text, "portcullis.toml", std::path::Path::new("."), &[])?;
    output::raw(text.as_bytes());
    Ok(())
}
