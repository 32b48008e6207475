//! `[admin]`

use super::listener::socket;
use crate::config::keys::{Key, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::settings::{AdminSettings, AdminTcp};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("socket", Shape::Text, "`\"unix:PATH\"`: a Unix socket that only its owner can open."),
    Key::new("bind", Shape::Text, "Also over TCP, at this address and port; wants `token`."),
    Key::new("token", Shape::Secret, "The bearer token that callers over TCP must present."),
];

/// Shorter tokens can be guessed.
const MIN_TOKEN: usize = 16;

pub(in crate::config) fn read(context: &Context<'_>) -> Option<AdminSettings> {
    let section = context.section("admin")?;
    let socket = section.text("socket").map(|text| {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.is_empty() {
            section.problem("socket", Fault::new("`unix:` wants a path").help("\"unix:/run/portcullis/admin.sock\""));
        }
        context.sources.base(section.place_of("socket")).join(path)
    });
    Some(AdminSettings { socket, tcp: tcp(&section) })
}

fn tcp(section: &Section<'_>) -> Option<AdminTcp> {
    match (section.has("bind"), section.has("token")) {
        (true, false) => {
            let fault = Fault::new("operations over TCP need a token");
            section.problem("bind", fault.help("admin.token = { file = \"PATH\" }, or a Unix socket: admin.socket"));
        }
        (false, true) => {
            section.problem("token", Fault::new("`admin.token` without `admin.bind` protects nothing"));
        }
        _ => {}
    }
    let bind = section.parse("bind", socket);
    let token = section.secret_text("token");
    if token.as_ref().is_some_and(|token| token.expose().len() < MIN_TOKEN) {
        section.problem("token", Fault::new(format!("`admin.token` is shorter than {MIN_TOKEN} bytes")));
    }
    Some(AdminTcp { bind: bind?, token: token? })
}
