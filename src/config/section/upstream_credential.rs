//! `[upstream.NAME.credential]`

use std::sync::Arc;

use http::HeaderName;

use super::edits::is_identity;
use super::endpoint::endpoint;
use super::issuer_keys::{fetchable, is_loopback};
use crate::config::keys::{DURATION, Given, Key, Shape, TEXTS};
use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::model::header::fold;
use crate::model::reserved::{OVERRIDES, is_claim, is_hop_by_hop};
use crate::model::settings::{
    CredentialSettings, CredentialSource, Endpoint, Scheme, TokenClientAuth, TokenEndpointSettings,
};

pub(super) const KEYS: &[Key] = &[
    Key::new("header", Shape::Text, "The header that it goes into.").default(Given::Text("authorization")),
    Key::new(
        "scheme",
        Shape::Text,
        "What stands before it; `Bearer` in `authorization` and nothing elsewhere, unless said otherwise. `\"none\"`: nothing.",
    ),
    Key::new("value", Shape::Secret, "A key that is always the same."),
    Key::new(
        "token_file",
        Shape::Path,
        "A file with a token that somebody else renews, as Kubernetes does; looked at once a second.",
    ),
    Key::new("oauth2", Shape::Table(OAUTH2), "Tokens of an authorization server (client credentials, RFC 6749)."),
];

const OAUTH2: &[Key] = &[
    Key::new("token_url", Shape::Text, "Its token endpoint.").required(),
    Key::new("client_id", Shape::Text, "Who asks.").required(),
    Key::new("client_secret", Shape::Secret, "And proves it with this; not with `client_auth = \"mtls\"`."),
    Key::new(
        "client_auth",
        Shape::Choice { now: &["basic", "post", "mtls"], later: &[] },
        "Whether the secret goes into `Authorization` or into the form, or the upstream's `tls.certificate` is what proves it (RFC 8705).",
    )
    .default(Given::Text("basic")),
    Key::new("scopes", TEXTS, "What the tokens are to be good for; else what the server gives by default."),
    Key::new("audience", Shape::Text, "For whom they are to be, where the server wants to be told."),
    Key::new("ca", Shape::Path, "Certificates to trust instead of the system's, PEM."),
    Key::new("timeout", DURATION, "How long one call may take, and a request wait for the first token.")
        .default(Given::Text("5s")),
];

const ONE: &str = "value = { file = \"…\" }, token_file = \"…\" or oauth2 = { token_url = \"…\", … }";

/// What stands in the upstream's section.
pub(super) fn read(upstream: &Section<'_>) -> Option<CredentialSettings> {
    let section = upstream.table("credential")?;
    let header = section.parse("header", |text| header(text, &section))?;
    let written: Vec<_> = ["value", "token_file", "oauth2"].into_iter().filter(|key| section.has(key)).collect();
    if written.len() != 1 {
        let fault =
            Fault::new(format!("`{}` wants one place that it comes from, and has {}", section.path, written.len()));
        upstream.problem("credential", fault.help(ONE));
        return None;
    }
    in_clear_text(upstream);
    let source = if section.has("value") {
        CredentialSource::Fixed(fixed(&section)?)
    } else if let Some(path) = section.path("token_file") {
        CredentialSource::File(path)
    } else {
        CredentialSource::ClientCredentials(Arc::new(oauth2(&section.table("oauth2")?, upstream)?))
    };
    let bearer = || (header == http::header::AUTHORIZATION).then(|| Arc::from("Bearer"));
    let scheme = match section.has("scheme") {
        true => section.parse("scheme", scheme)?,
        false => bearer(),
    };
    Some(CredentialSettings { header, scheme, source })
}

/// A header that may carry a credential: `authorization`, or one that means nothing to Portcullis and to no connection.
fn header(text: &str, section: &Section<'_>) -> Result<HeaderName, Fault> {
    let name: HeaderName =
        text.parse().map_err(|_| Fault::new(format!("`{text}` is no header name")).help("letters, digits and `-`"))?;
    let folded = fold(name.as_str()).into_owned();
    let taken = is_hop_by_hop(&folded)
        || is_claim(&folded)
        || is_identity(&folded, section.context)
        || OVERRIDES.contains(&&*folded)
        || folded.starts_with("sec-")
        || folded.starts_with("content-")
        || folded.starts_with("accept")
        || folded.starts_with("if-")
        || matches!(&*folded, "cookie" | "dpop" | "origin" | "range" | "date" | "max-forwards" | "via");
    if taken {
        let fault = Fault::new(format!("the header `{name}` has another meaning"));
        return Err(fault.help("\"authorization\", or the one that the service wants: \"x-api-key\""));
    }
    Ok(name)
}

/// A token (RFC 9110, section 11.1).
fn scheme(text: &str) -> Result<Option<Arc<str>>, Fault> {
    if text == "none" {
        return Ok(None);
    }
    let is_token =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    // These bind a connection rather than a request (RFC 4559).
    let binds = ["ntlm", "negotiate"].iter().any(|name| text.eq_ignore_ascii_case(name));
    if is_token && !binds {
        return Ok(Some(text.into()));
    }
    Err(Fault::new(format!("`{text}` is no scheme that goes with a fixed credential"))
        .help("\"Bearer\", \"Basic\" or \"none\""))
}

fn fixed(section: &Section<'_>) -> Option<crate::model::Secret<Vec<u8>>> {
    let secret = section.secret("value")?;
    let bytes = secret.expose();
    let is_clean = bytes.iter().all(|b| b.is_ascii_graphic() || *b == b' ')
        && bytes.first().is_some_and(u8::is_ascii_graphic)
        && bytes.last().is_some_and(u8::is_ascii_graphic);
    if !is_clean {
        let fault = Fault::new(format!("`{}.value` is not one line of visible ASCII", section.path));
        section.problem("value", fault.help("the key alone, without quotes and further lines"));
        return None;
    }
    Some(secret.clone())
}

fn oauth2(section: &Section<'_>, upstream: &Section<'_>) -> Option<TokenEndpointSettings> {
    let url = section.parse("token_url", |text| {
        let url = fetchable(text)?;
        if url.scheme() == "http" && !is_loopback(&url) {
            let fault = Fault::new("tokens and the client's secret would travel in clear text");
            return Err(fault.help("https://…, or http to a loopback address"));
        }
        Ok(text.to_owned())
    });
    let secret = section.secret_text("client_secret");
    let client_auth = match (section.text("client_auth"), secret) {
        (Some("mtls"), None) if !section.has("client_secret") => {
            let has_certificate = upstream.table("tls").is_some_and(|tls| tls.has("certificate"));
            if !has_certificate {
                let fault = Fault::new("there is no certificate to show");
                let help = "[upstream.NAME.tls] certificate = { chain = \"…\", key = \"…\" }";
                section.problem("client_auth", fault.help(help));
                return None;
            }
            TokenClientAuth::Mtls
        }
        (Some("mtls"), _) => {
            let fault = Fault::new("with `client_auth = \"mtls\"` the certificate is what proves who asks");
            section.problem("client_secret", fault.help("leave it out"));
            return None;
        }
        (_, None) if !section.has("client_secret") => {
            let fault = Fault::new(format!("`{}` lacks `client_secret`", section.path));
            section.problem("client_secret", fault.help("client_secret = { file = \"…\" }, or client_auth = \"mtls\""));
            return None;
        }
        (Some("post"), Some(secret)) => TokenClientAuth::Post(secret),
        (_, Some(secret)) => TokenClientAuth::Basic(secret),
        (_, None) => return None,
    };
    for (scope, place) in section.texts("scopes") {
        // RFC 6749, section 3.3.
        if scope.is_empty() || !scope.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\')) {
            let fault = Fault::new(format!("`{scope}` is no scope"));
            section
                .context
                .report
                .problem(place, fault.help("one to an entry: scopes = [\"orders.read\", \"orders.write\"]"));
        }
    }
    if section.text("client_id").is_some_and(str::is_empty) {
        section.problem("client_id", Fault::new("must not be empty"));
    }
    Some(TokenEndpointSettings {
        url: url?,
        client_id: section.text("client_id")?.to_owned(),
        client_auth,
        scopes: section.shared_texts("scopes"),
        audience: section.shared_text("audience"),
        ca: section.path("ca"),
        timeout: section.duration("timeout"),
    })
}

/// Whoever sees it on its way may use it.
fn in_clear_text(upstream: &Section<'_>) {
    let is_seen = |endpoint: &Endpoint| {
        let is_local = &*endpoint.host == "localhost"
            || endpoint.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        matches!(endpoint.scheme, Scheme::Http | Scheme::H2c) && !is_local
    };
    let bare = upstream.texts("endpoints").map(|(text, _)| text);
    let tables = upstream.table_list("endpoints");
    let all = bare.chain(tables.iter().filter_map(|table| table.text("url")));
    let seen = all.filter_map(|text| endpoint(text).ok()).find(is_seen);
    if let Some(seen) = seen {
        let fault = Fault::new(format!("the credential travels to `{seen}` in clear text"));
        upstream.warning(
            "credential",
            fault.help("https://…, or a loopback address or a Unix socket with a tunnel behind it"),
        );
    }
}
