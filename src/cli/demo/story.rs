//! What to try, as lines to paste.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Map;

use super::setup::{AUDIENCE, ISSUER, Setup};
use crate::admin::views::CreatedKey;
use crate::admin::{Grants, NewKey, NewSession};
use crate::app::Options;
use crate::cli::admin_client::AdminClient;
use crate::cli::backend::Backend;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::tokens::NewToken;

/// All there is to try.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    url: String,
    service: SocketAddr,
    configuration: PathBuf,
    steps: Vec<Step>,
}

/// One thing to try.
#[derive(Debug, Serialize)]
struct Step {
    title: &'static str,
    command: String,
    /// The status of the answer, where the command is one of curl.
    status: Option<u16>,
}

impl Story {
    /// Makes credentials, and lines that use them.
    pub(super) async fn tell(
        setup: &Setup,
        address: SocketAddr,
        service: SocketAddr,
        socket: &Path,
        options: &Options,
    ) -> Result<Self, Failure> {
        let instance = Backend::Instance(AdminClient { socket: socket.to_owned() });
        let key = instance.create_key(new_key("alice", "for the demo")).await?;
        let revoked = instance.create_key(new_key("mallory", "revoked already")).await?;
        instance.revoke_key(&revoked.record.id).await?;
        let session = NewSession {
            grants: viewer("carol"),
            email: Some("carol@example.com".to_owned()),
            ..NewSession::default()
        };
        let session = instance.create_session(session).await?;
        let token = NewToken {
            issuer: ISSUER,
            audiences: &[AUDIENCE.to_owned()],
            subject: "bob",
            scopes: &["orders:read".to_owned()],
            roles: &[],
            extra: Map::new(),
            expires_in: Duration::from_secs(12 * 3600),
        };
        let (token, _) = token.mint(&setup.issuer, &*options.clock, &*options.entropy)?;

        let url = format!("https://{address}");
        let curl = |title, status, headers: &[&str], path: &str| {
            let mut command = format!("curl -sS -i -w '\\n' --cacert {}", quoted(&setup.ca.to_string_lossy()));
            for header in headers {
                command.push_str(&format!(" -H {}", quoted(header)));
            }
            command.push_str(&format!(" {}", quoted(&format!("{url}{path}"))));
            Step { title, command, status: Some(status) }
        };
        let api_key = |key: &CreatedKey| format!("X-API-Key: {}", key.key.expose());
        let bearer = format!("Authorization: Bearer {token}");
        let cookie = format!("Cookie: {}", session.cookie.expose());
        let exe =
            std::env::current_exe().map_or_else(|_| "portcullis".into(), |exe| exe.to_string_lossy().into_owned());
        let portcullis = |title, arguments: String| Step {
            title,
            command: format!("{} {arguments} --admin {}", quoted(&exe), quoted(&format!("unix:{}", socket.display()))),
            status: None,
        };
        let steps = vec![
            curl("anyone may see the home page", 200, &[], "/"),
            curl("an API key", 200, &[&api_key(&key)], "/orders"),
            curl("a token (JWT)", 200, &[&bearer], "/orders"),
            curl("a session cookie", 200, &[&cookie], "/orders"),
            curl("refused: no credential", 401, &[], "/orders"),
            curl("refused: the token's scope is not enough", 403, &[&bearer], "/reports"),
            curl("refused: this key has been revoked", 401, &[&api_key(&revoked)], "/orders"),
            curl("refused: two credentials at once", 400, &[&api_key(&key), &bearer], "/orders"),
            curl(
                "identity headers of the client never get through: the service sees alice, not root",
                200,
                &["X-Auth-Subject: root", "X_Auth_Roles: admin", &api_key(&key)],
                "/orders",
            ),
            portcullis(
                "revoke alice's key; her line above is 401 from then on",
                format!("keys revoke {}", key.record.id),
            ),
            portcullis("log carol out", format!("sessions revoke {}", session.session.id)),
            portcullis("what keys there are", "keys list".to_owned()),
        ];
        Ok(Self { url, service, configuration: setup.config.clone(), steps })
    }

    /// As text. What explains begins with `#`, so that all of it can be pasted.
    pub(super) fn print(&self) {
        output::line(&format!("\n# {} is protected; behind it is {}", self.url, self.service));
        output::line(&format!("# configuration: {}", self.configuration.display()));
        output::line("# Paste these into another terminal. Ctrl-C here ends the demo and leaves nothing behind.");
        for Step { title, command, status } in &self.steps {
            let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
            output::line(&format!("\n# {title}{status}\n{command}"));
        }
        output::line("");
    }
}

fn new_key(subject: &str, label: &str) -> NewKey {
    NewKey { grants: viewer(subject), label: Some(label.to_owned()), ..NewKey::default() }
}

fn viewer(subject: &str) -> Grants {
    Grants { subject: subject.to_owned(), roles: vec!["viewer".to_owned()], ..Grants::default() }
}

/// As one word of a POSIX shell (2.2.2, Single-Quotes).
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:._-+,@%=".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_command_as_they_are() {
        for word in ["plain", "", "two words", "it's", "$(id)", "a\"b", "`x`", "a;b", "~root", "*"] {
            let said = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quoted(word))).output();
            assert_eq!(String::from_utf8(said.unwrap().stdout).unwrap(), word);
        }
    }
}
