//! `[session]`

use super::session_foreign::{self, Defaults};
use crate::config::keys::{DURATION, Given, Key, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::source::Place;
use crate::config::tree::{Entry, Node, Table, Value};
use crate::model::settings::{SessionLayout, SessionSettings};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "cookie",
        Shape::Text,
        "The cookie's name; with a `layout` of others by default theirs: `connect.sid`, `SESSION`, `PHPSESSID`.",
    )
    .default(Given::Text("__Host-session")),
    Key::new("idle_timeout", DURATION, "A session ends when unused for this long.").default(Given::Text("30m")),
    Key::new("absolute_timeout", DURATION, "And then in any case.").default(Given::Text("12h")),
    Key::new(
        "layout",
        Shape::Choice { now: &["portcullis", "connect-redis", "json", "spring", "php"], later: &[] },
        "Who keeps the sessions: Portcullis, or (opening it to what that says) the application behind, in the same Redis.",
    )
    .default(Given::Text("portcullis")),
    Key::new(
        "foreign",
        Shape::Table(session_foreign::KEYS),
        "With a `layout` of others: how they are kept, and where in them to look: names, or JSON pointers (`\"/a/b\"`).",
    ),
];

/// Puts the layout's own cookie name in place of ours in a checked tree.
pub(in crate::config) fn apply_layout(root: &mut Table) {
    let Some(Value::Table(session)) = root.get_mut("session").map(|entry| &mut entry.node.value) else { return };
    let Some(Entry { node: Node { value: Value::Text(layout), place, .. }, .. }) = session.get("layout") else {
        return;
    };
    let (cookie, place) = (Defaults::of(layout).and_then(|defaults| defaults.cookie), *place);
    if session.get("cookie").is_some_and(|entry| entry.node.place == Place::DEFAULT)
        && let Some(cookie) = cookie
    {
        let node = Node::new(Value::Text(cookie.to_owned()), place);
        session.insert("cookie".to_owned(), Entry { key: place, node });
    }
}

pub(in crate::config) fn read(context: &Context<'_>) -> Option<SessionSettings> {
    let section = context.section("session")?;
    let layout = session_foreign::read(&section);
    let cookie = section.parse("cookie", cookie);
    if cookie.as_ref().is_some_and(|name| !name.starts_with("__Host-") && !name.starts_with("__Secure-")) {
        let fault = Fault::new("other sites of the same domain can plant a cookie of this name");
        section.warning(
            "cookie",
            fault.help(match layout {
                Some(SessionLayout::Foreign(_)) => {
                    "have the application begin it with `__Host-`, and set `session.cookie` to the same name"
                }
                _ => "begin it with `__Host-`",
            }),
        );
    }
    let (idle, absolute) = (section.duration("idle_timeout"), section.duration("absolute_timeout"));
    if idle > absolute {
        let key = if section.is_written("idle_timeout") { "idle_timeout" } else { "absolute_timeout" };
        section.problem(key, Fault::new("`session.idle_timeout` is longer than `session.absolute_timeout`"));
    }
    if matches!(layout, Some(SessionLayout::Foreign(_))) {
        check_ours(&section);
    }
    Some(SessionSettings { cookie: cookie?.into(), idle_timeout: idle, absolute_timeout: absolute, layout: layout? })
}

/// What would mean nothing, because the application decides it.
fn check_ours(section: &Section<'_>) {
    for key in ["idle_timeout", "absolute_timeout"].into_iter().filter(|key| section.is_written(key)) {
        let fault = Fault::new(format!("`session.{key}` is for sessions that Portcullis keeps"));
        section.problem(key, fault.help("the application decides when its sessions end: leave it out"));
    }
}

/// A token of RFC 9110, section 5.6.2, as RFC 6265 wants it.
fn cookie(text: &str) -> Result<String, Fault> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("not a cookie name").help("letters, digits and `-`, `_`, `.`"))
}
