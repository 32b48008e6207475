//! `portcullis tokens mint`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::key_file;
use crate::cli::failure::Failure;
use crate::cli::{output, values};
use crate::crypto::{Signer, session_secret};
use crate::model::{Clock, Entropy, SystemClock, SystemEntropy};

/// What the token says.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The private key, EC P-256, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Make the key first
    #[arg(long)]
    new_key: bool,
    /// `iss`
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// `aud`; can be repeated
    #[arg(long = "audience", value_name = "NAME", required = true)]
    audiences: Vec<String>,
    /// `sub`
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// A scope, for `scope`; can be repeated
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// A role, for `roles`; can be repeated
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<String>,
    /// Another claim, as JSON or text; can be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// How long it is valid, such as 15m
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = values::duration)]
    expires_in: Duration,
    /// Print the token and its claims as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let signer = if args.new_key { key_file::create(&args.key)? } else { key_file::read(&args.key)? };
    let mut extra = Map::new();
    for claim in &args.claims {
        let (name, value) = claim
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--claim `{claim}`: NAME=VALUE is wanted, such as `tenant=acme`")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        extra.insert(name.to_owned(), value);
    }
    let wanted = NewToken {
        issuer: &args.issuer,
        audiences: &args.audiences,
        subject: &args.subject,
        scopes: &args.scopes,
        roles: &args.roles,
        extra,
        expires_in: args.expires_in,
    };
    let (token, claims) = wanted.mint(&signer, &SystemClock, &SystemEntropy)?;
    if args.json {
        output::json(&json!({ "token": token, "claims": claims }));
    } else {
        output::line(&token);
    }
    Ok(())
}

/// A token to make.
pub(in crate::cli) struct NewToken<'a> {
    pub(in crate::cli) issuer: &'a str,
    pub(in crate::cli) audiences: &'a [String],
    pub(in crate::cli) subject: &'a str,
    pub(in crate::cli) scopes: &'a [String],
    pub(in crate::cli) roles: &'a [String],
    pub(in crate::cli) extra: Map<String, Value>,
    pub(in crate::cli) expires_in: Duration,
}

impl NewToken<'_> {
    /// An access token (RFC 9068), and its claims.
    pub(in crate::cli) fn mint(
        self,
        signer: &Signer,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<(String, Map<String, Value>), Failure> {
        let now = clock.now();
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), json!(self.issuer));
        claims.insert(
            "aud".to_owned(),
            match self.audiences {
                [one] => json!(one),
                several => json!(several),
            },
        );
        claims.insert("sub".to_owned(), json!(self.subject));
        claims.insert("iat".to_owned(), json!(now.as_secs()));
        claims.insert("exp".to_owned(), json!(now.after(self.expires_in).as_secs()));
        claims.insert("jti".to_owned(), json!(session_secret::public_id(entropy)));
        if !self.scopes.is_empty() {
            claims.insert("scope".to_owned(), json!(self.scopes.join(" ")));
        }
        if !self.roles.is_empty() {
            claims.insert("roles".to_owned(), json!(self.roles));
        }
        claims.extend(self.extra);
        let token = signer.sign("at+jwt", &claims, entropy);
        let token = token.map_err(|problem| Failure::failed(problem.to_string()))?;
        Ok((token, claims))
    }
}
