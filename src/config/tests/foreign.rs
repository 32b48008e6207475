//! `[session.foreign]`: sessions of the application.

use std::sync::Arc;

use super::*;
use crate::model::settings::{ForeignFormat, ForeignSettings, IdAlphabet, PhpHandler, SessionLayout};

const REDIS: &str = "store.url = 'redis://redis.internal'\n";

fn foreign(more: &str) -> (String, Arc<ForeignSettings>) {
    let loaded = good(&format!("{REDIS}{more}"));
    match loaded.settings.session.layout {
        SessionLayout::Foreign(foreign) => (loaded.settings.session.cookie.to_string(), foreign),
        SessionLayout::Portcullis => panic!("our own"),
    }
}

#[test]
fn each_layout_brings_the_names_that_its_framework_uses() {
    let subject = "session.foreign.subject = '/user/id'\n";
    for (layout, more, cookie, prefix) in [
        ("connect-redis", "session.foreign.secrets = { env = 'SECRET' }", "connect.sid", "sess:"),
        ("spring", "", "SESSION", "spring:session:sessions:"),
        ("php", "", "PHPSESSID", "PHPREDIS_SESSION:"),
    ] {
        let (found, foreign) = foreign(&format!("session.layout = '{layout}'\n{subject}{more}"));
        assert_eq!((found.as_str(), foreign.key_prefix.as_str()), (cookie, prefix));
        assert_eq!((&*foreign.issuer, &*foreign.subject, foreign.format.name()), (layout, "/user/id", layout));
        assert_eq!((&foreign.claims.roles, &foreign.expires), (&None, &None), "nothing is looked for unasked");
    }
    let ours = good("");
    assert!(matches!(ours.settings.session.layout, SessionLayout::Portcullis));
    assert_eq!(&*ours.settings.session.cookie, "__Host-session");
}

#[test]
fn what_is_written_counts() {
    let (cookie, found) = foreign(
        r#"
        [session]
        layout = "connect-redis"
        cookie = "__Host-app"
        [session.foreign]
        key_prefix = "app:"
        issuer = "shop"
        subject = "user"
        roles = "/user/roles"
        expires = "/until"
        secrets = [{ env = "SECRET" }, { env = "WORKERS" }]
        "#,
    );
    assert_eq!((cookie.as_str(), found.key_prefix.as_str(), &*found.issuer), ("__Host-app", "app:", "shop"));
    assert_eq!((found.claims.roles.as_deref(), found.expires.as_deref()), (Some("/user/roles"), Some("/until")));
    let ForeignFormat::ConnectRedis { secrets } = &found.format else { panic!("connect-redis") };
    assert!(secrets[0].matches(b"hunter2hunter2hunter2hunter2hunter2") && secrets[1].matches(b"3"));

    let (_, found) = foreign("session.layout = 'php'\nsession.foreign = { subject = 'u', handler = 'php_serialize' }");
    assert!(matches!(found.format, ForeignFormat::Php { handler: PhpHandler::PhpSerialize }));
    let json = "session = { layout = 'json', cookie = 'sid' }\nsession.foreign.subject = 'u'\n";
    let (_, found) = foreign(&json.replace("\nsession.foreign.subject = 'u'", "").replace(
        "cookie = 'sid' }",
        "cookie = 'sid', foreign = { subject = 'u', key_prefix = 's:', id = { alphabet = 'hex', min = 32, max = 32 } } }",
    ));
    let ForeignFormat::Json { id } = &found.format else { panic!("json") };
    assert_eq!((id.alphabet, id.min, id.max), (IdAlphabet::Hex, 32, 32));
}

#[test]
fn what_could_not_work_or_would_open_something_is_refused() {
    let rows: &[(&str, &str)] = &[
        ("session.layout = 'rails'", "`rails` is not one of the choices"),
        ("session.layout = 'php'", "`session.layout = \"php\"` does not say who is logged in"),
        ("session.layout = 'php'\nsession.foreign = {}", "`session.foreign` lacks `subject`"),
        ("session.foreign.subject = 'u'", "`session.foreign` is for sessions of the application"),
        (
            "session.layout = 'connect-redis'\nsession.foreign.subject = 'u'",
            "without `session.foreign.secrets` no cookie of `connect-redis` could be verified",
        ),
        (
            "session.layout = 'connect-redis'\nsession.foreign = { subject = 'u', secrets = [] }",
            "the list must not be empty",
        ),
        (
            "session.layout = 'php'\nsession.foreign = { subject = 'u', issuer = 'portcullis' }",
            "`portcullis` is the issuer of Portcullis's own principals",
        ),
        (
            "session.layout = 'php'\nsession.foreign = { subject = 'u', issuer = 'mtls' }",
            "`mtls` is the issuer of Portcullis's own principals",
        ),
        (
            "session.layout = 'php'\nsession.foreign = { subject = 'u', issuer = 'basic' }",
            "`basic` is the issuer of Portcullis's own principals",
        ),
        ("session.layout = 'php'\nsession.foreign.subject = '/a~2'", "not a JSON pointer"),
        ("session.layout = 'php'\nsession.foreign = { subject = 'u', roles = '/~' }", "not a JSON pointer"),
        (
            "session.layout = 'php'\nsession.foreign = { subject = 'u', secrets = { env = 'SECRET' } }",
            "`session.foreign.secrets` is for `layout = \"connect-redis\"`",
        ),
        (
            "session.layout = 'spring'\nsession.foreign = { subject = 'u', handler = 'php' }",
            "`session.foreign.handler` is for `layout = \"php\"`",
        ),
        (
            "session = { layout = 'php', idle_timeout = '5m', foreign = { subject = 'u' } }",
            "`session.idle_timeout` is for sessions that Portcullis keeps",
        ),
        (
            "session = { layout = 'json', foreign = { subject = 'u', key_prefix = 's:' } }",
            "with `session.layout = \"json\"` the cookie must be named",
        ),
        (
            "session = { layout = 'json', cookie = 's', foreign = { subject = 'u' } }",
            "with `session.layout = \"json\"` the keys must be named",
        ),
        (
            "session = { layout = 'json', cookie = 's', foreign = { subject = 'u', key_prefix = 's:', id.min = 8 } }",
            "`8` is out of range",
        ),
        (
            "session = { layout = 'json', cookie = 's', foreign = { subject = 'u', key_prefix = 's:', id = { min = 40, max = 20 } } }",
            "`session.foreign.id.min` is more than `session.foreign.id.max`",
        ),
    ];
    for (more, said) in rows {
        let found = problems(&format!("{BASE}{ROUTE}{REDIS}{more}"));
        assert!(found.len() == 1 && found[0].ends_with(said), "{more}: {found:?}");
    }
}

#[test]
fn the_store_must_be_the_redis_of_the_application() {
    let php = "session.layout = 'php'\nsession.foreign.subject = 'u'\n";
    let needs =
        "`session.layout = \"php\"` needs the Redis that the application keeps them in, and `store.url` is `memory:`";
    for store in ["", "store.url = 'memory:'\n", "store.url = 'memory:file.json'\n"] {
        let Err(found) = read(&format!("{BASE}{ROUTE}{store}{php}")) else { panic!("good?") };
        assert_eq!(found.problems.len(), 1, "{found}");
        assert_eq!(found.problems[0].message, needs);
        assert_eq!(found.problems[0].help.as_deref(), Some("store.url = \"redis://HOST:6379\""));
    }
    for scheme in ["redis+cluster", "rediss+cluster"] {
        let found = problems(&format!("{BASE}{ROUTE}store.url = '{scheme}://a'\n{php}"));
        assert!(found.iter().any(|problem| problem.contains("does not go with Redis Cluster")), "{found:?}");
    }
}

#[test]
fn f49_secrets_of_cookies_are_never_shown() {
    for written in ["'hunter2'", "['hunter2']", "[{ env = 'SECRET', default = 'hunter2' }]", "{ value = 'hunter2' }"] {
        let more =
            format!("session.layout = 'connect-redis'\nsession.foreign = {{ subject = 'u', secrets = {written} }}");
        let Err(found) = read(&format!("{BASE}{ROUTE}{REDIS}{more}")) else { panic!("good?") };
        assert!(found.to_string().contains("is a secret"), "{found}");
        assert!(!found.to_string().contains("hunter2"), "{found}");
    }
    let loaded = good(&format!(
        "{REDIS}session.layout = 'connect-redis'\nsession.foreign = {{ subject = 'u', secrets = [{{ env = 'SECRET' }}] }}"
    ));
    assert!(!format!("{:?}{:?}", loaded.settings, loaded.effective).contains("hunter2hunter2"));
    assert_eq!(value(&loaded, "session.cookie").0, "connect.sid");
}

#[test]
fn weak_choices_of_the_application_are_warned_of() {
    let warnings = |more: &str| good(&format!("{REDIS}{more}")).warnings.to_string();
    let php = "session.layout = 'php'\nsession.foreign.subject = 'u'\n";
    assert!(warnings(php).contains("have the application begin it with `__Host-`"));
    assert!(!warnings(&format!("{php}session.cookie = '__Host-php'")).contains("can plant"));
    let short = "session.layout = 'connect-redis'\nsession.foreign = { subject = 'u', secrets = { env = 'WORKERS' } }";
    assert!(warnings(short).contains("can be guessed"));
}
