//! `[basic]`

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::keys::{DURATION, Given, Key, Shape, TEXTS};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::CredentialKind;
use crate::model::settings::{Accept, BasicSettings, LimitSettings, LimitStage, RouteSettings};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("file", Shape::Path, "`user:hash` lines as `htpasswd -B -C 12` writes them: bcrypt, or argon2id.")
        .required(),
    Key::new("group_file", Shape::Path, "`group: user user` lines, as Apache reads them."),
    Key::new("realm", Shape::Text, "What browsers show when they ask for the password.")
        .default(Given::Text("portcullis")),
    Key::new("roles", TEXTS, "Roles that every user gets.").default(Given::Texts(&[])),
    Key::new("scopes", TEXTS, "Scopes that every user gets.").default(Given::Texts(&[])),
    Key::new("cache", DURATION, "How long a password that was right is believed without hashing it again.")
        .default(Given::Text("60s")),
];

/// A password that is out of the file counts no longer than that after a restart of what read it; more saves nothing.
const LONGEST_CACHE: std::time::Duration = std::time::Duration::from_secs(3600);

pub(in crate::config) fn read(context: &Context<'_>) -> Option<BasicSettings> {
    let section = context.section("basic")?;
    let realm = section.parse("realm", |text| {
        // A quoted-string (RFC 9110, section 5.6.4) that needs no escapes.
        let fits = |b: u8| (b == b' ' || b.is_ascii_graphic()) && b != b'"' && b != b'\\';
        if text.bytes().all(fits) {
            return Ok(text.into());
        }
        Err(Fault::new("not a realm").help("printable ASCII without `\"` and `\\`"))
    });
    if section.duration("cache") > LONGEST_CACHE {
        section.problem("cache", Fault::new("at most an hour").help("\"60s\" hashes each password once a minute"));
    }
    Some(BasicSettings {
        file: section.path("file")?,
        group_file: section.path("group_file"),
        realm: realm?,
        roles: section.parse_list("roles", |role| context.refer("roles", role)),
        scopes: section.shared_texts("scopes"),
        cache: section.duration("cache"),
    })
}

/// Warns of passwords that can be guessed at leisure.
pub(super) fn guessable(route: &RouteSettings, section: &Section<'_>, limits: &BTreeMap<Arc<str>, LimitSettings>) {
    let Accept::OneOf { alternatives, .. } = &route.accept else { return };
    let counts = |name: &Arc<str>| limits.get(name).is_some_and(|l| l.stage == LimitStage::FailedAuthentication);
    if alternatives.iter().any(|a| a.kind == CredentialKind::Basic) && !route.limits.iter().any(counts) {
        let fault = Fault::new(format!("`{}` lets anybody guess passwords as often as they like", section.path));
        let help =
            "limits = [\"failures\"] and [limit.failures] with rate = \"10/5m\", stage = \"failed_authentication\"";
        section.warning("accept", fault.help(help));
    }
}
