//! `[session]`

use crate::config::keys::{DURATION, Given, Key, Shape};
use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::model::settings::SessionSettings;

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("cookie", Shape::Text, "The cookie's name.").default(Given::Text("__Host-session")),
    Key::new("idle_timeout", DURATION, "A session ends when unused for this long.").default(Given::Text("30m")),
    Key::new("absolute_timeout", DURATION, "And then in any case.").default(Given::Text("12h")),
    Key::later("layout"),
];

pub(in crate::config) fn read(context: &Context<'_>) -> Option<SessionSettings> {
    let section = context.section("session")?;
    let cookie = section.parse("cookie", cookie);
    if cookie.as_ref().is_some_and(|name| !name.starts_with("__Host-") && !name.starts_with("__Secure-")) {
        let fault = Fault::new("other sites of the same domain can plant a cookie of this name");
        section.warning("cookie", fault.help("begin it with `__Host-`"));
    }
    let (idle, absolute) = (section.duration("idle_timeout"), section.duration("absolute_timeout"));
    if idle > absolute {
        let key = if section.is_written("idle_timeout") { "idle_timeout" } else { "absolute_timeout" };
        section.problem(key, Fault::new("`session.idle_timeout` is longer than `session.absolute_timeout`"));
    }
    Some(SessionSettings { cookie: cookie?.into(), idle_timeout: idle, absolute_timeout: absolute })
}

/// A token of RFC 9110, section 5.6.2, as RFC 6265 wants it.
fn cookie(text: &str) -> Result<String, Fault> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("not a cookie name").help("letters, digits and `-`, `_`, `.`"))
}
