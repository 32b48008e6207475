//! `[opaque]` and `[basic]`.

use std::time::Duration;

use super::*;
use crate::model::CredentialKind;
use crate::model::settings::{Accept, ClientSecretMethod};

const OPAQUE: &str = r#"
[opaque]
introspection_url = "https://id.example.com/introspect"
issuer = "https://id.example.com"
audiences = "orders"
client_id = "gate"
client_secret = { env = "SECRET" }
"#;

/// What is said of `[opaque]` with one key set anew.
fn said_of_opaque(key: &str, value: &str) -> Vec<String> {
    let lines = OPAQUE.lines().filter(|line| !line.starts_with(&format!("{key} ")));
    let text = format!("{BASE}{ROUTE}{}\n{key} = {value}\n", lines.collect::<Vec<_>>().join("\n"));
    match read(&text) {
        Ok(_) => Vec::new(),
        Err(found) => found.problems.into_iter().map(|problem| problem.message).collect(),
    }
}

#[test]
fn opaque_tokens_have_short_lived_answers_by_default() {
    let loaded = good(&format!("route.app.accept = 'opaque'\n{OPAQUE}"));
    let Accept::OneOf { alternatives, .. } = &loaded.settings.routes[0].accept else { panic!("public?") };
    assert_eq!(alternatives[0].kind, CredentialKind::Opaque);
    let opaque = loaded.settings.opaque.as_ref().unwrap();
    assert_eq!((opaque.cache, opaque.timeout), (Duration::from_secs(60), Duration::from_secs(2)));
    assert_eq!((opaque.client_auth, opaque.max_size), (ClientSecretMethod::Basic, 4096));
    assert!(!opaque.allow_missing_audience && opaque.ca.is_none());
    assert_eq!(opaque.claims.scopes.as_deref(), Some("scope"));
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert_eq!(value(&loaded, "opaque.client_secret").0, "[secret]");
    let post = good(&format!("{OPAQUE}client_auth = 'post'\nca = 'ca.pem'\ncache = '1h'"));
    assert_eq!(post.settings.opaque.unwrap().client_auth, ClientSecretMethod::Post);
    let warned = good(&format!("{OPAQUE}allow_missing_audience = true")).warnings.to_string();
    assert!(warned.contains("every active token of the issuer counts here"), "{warned}");
}

#[test]
fn bad_endpoints_of_opaque_tokens_are_refused() {
    let said: &[(&str, &str, &[&str])] = &[
        (
            "introspection_url",
            "'http://id.example.com/'",
            &["tokens and the client's secret would travel in clear text"],
        ),
        ("introspection_url", "'http://127.0.0.1:1/'", &[]),
        ("introspection_url", "'https://169.254.169.254/'", &["link-local addresses are never asked"]),
        ("introspection_url", "'https://u:p@a/'", &["a URL with a user or password"]),
        ("introspection_url", "'introspect'", &["not a URL"]),
        ("issuer", "'portcullis'", &["`portcullis` is the issuer of Portcullis's own principals"]),
        ("issuer", "'basic'", &["`basic` is the issuer of Portcullis's own principals"]),
        ("issuer", "'mtls'", &["`mtls` is the issuer of Portcullis's own principals"]),
        ("audiences", "[]", &["the list must not be empty"]),
        ("cache", "'61m'", &["an answer that is believed for more than an hour is no answer"]),
        ("cache", "'0s'", &["`opaque.cache` must not be zero"]),
        ("client_auth", "'none'", &["`opaque.client_auth` cannot be `none`"]),
        ("client_secret", "'hunter2'", &["`opaque.client_secret` is a secret and must not be written here"]),
    ];
    for (key, value, expected) in said {
        let found = said_of_opaque(key, value);
        assert_eq!(found.len(), expected.len(), "{key} = {value}: {found:?}");
        // The words of the table of keys are its own; that there is a problem counts.
        if !expected.iter().any(|text| text.starts_with("`opaque.c") && !text.contains("secret")) {
            assert_eq!(found, *expected, "{key} = {value}");
        }
    }
    for key in ["introspection_url", "issuer", "audiences", "client_id", "client_secret"] {
        let lines = OPAQUE.lines().filter(|line| !line.starts_with(&format!("{key} ")));
        let found = problems(&format!("{BASE}{ROUTE}{}", lines.collect::<Vec<_>>().join("\n")));
        assert!(found.len() == 1 && found[0].contains(key), "{found:?}");
    }
}

#[test]
fn what_cannot_be_verified_is_not_accepted() {
    let found = problems(&format!("{BASE}{ROUTE}route.app.accept = ['opaque', 'basic']"));
    let said: Vec<&str> = found.iter().filter_map(|text| text.split_once(' ')).map(|(_, said)| said).collect();
    let (opaque, basic) = (
        "`opaque` without an endpoint to ask: no token could be accepted",
        "`basic` without passwords: nobody could log in",
    );
    assert_eq!(said, [opaque, basic]);
}

#[test]
fn basic_has_a_file_and_wants_a_limit_of_failures() {
    let basic = "[basic]\nfile = 'htpasswd'\nroles = 'a'\nscopes = ['read']\nrealm = 'The Works'\n[roles]\na = []\n";
    let warning = "lets anybody guess passwords";
    let loaded = good(&format!("route.app.accept = 'basic'\n{basic}"));
    assert!(loaded.warnings.to_string().contains(warning), "{}", loaded.warnings);
    let settings = loaded.settings.basic.unwrap();
    assert_eq!(settings.file, Path::new("/etc/portcullis/htpasswd"));
    assert_eq!((&*settings.realm, settings.cache), ("The Works", Duration::from_secs(60)));
    assert_eq!((settings.roles.len(), settings.scopes.len(), settings.group_file), (1, 1, None));
    let limit = |stage: &str| format!("[limit.f]\nrate = '5/m'\nstage = '{stage}'\n");
    let warned = |stage: &str| {
        let route = "route.app.accept = 'basic'\nroute.app.limits = 'f'\n";
        good(&format!("{route}{basic}{}", limit(stage))).warnings.to_string().contains(warning)
    };
    assert!(!warned("failed_authentication"));
    assert!(warned("before_authentication"));
    assert!(!good(basic).warnings.to_string().contains(warning), "no route accepts it");
}

#[test]
fn bad_settings_of_passwords_are_refused() {
    let said = |more: &str| problems(&format!("{BASE}{ROUTE}[basic]\n{more}"));
    assert!(said("realm = 'a'")[0].contains("file"));
    assert!(said("file = 'a'\nrealm = 'a\"b'")[0].ends_with("not a realm"));
    assert!(said("file = 'a'\nrealm = 'ä'")[0].ends_with("not a realm"));
    assert!(said("file = 'a'\nroles = 'none'")[0].contains("there is no `roles.none`"));
    assert!(said("file = 'a'\ncache = '2h'")[0].ends_with("at most an hour"));
}

#[test]
fn svids_come_from_a_socket_into_files_that_are_watched() {
    bad::check(&[
        ("spiffe.socket = 'unix:a'", &["1:1 `spiffe` lacks `directory`"]),
        ("spiffe.directory = 'd'", &["1:1 `spiffe` lacks `socket`"]),
        (
            "spiffe = { socket = 'tcp://127.0.0.1:1', directory = 'd' }",
            &["1:21 the agent is reached by a Unix socket alone"],
        ),
        ("spiffe = { socket = 'unix:', directory = 'd' }", &["1:21 the agent is reached by a Unix socket alone"]),
        (
            "spiffe = { socket = 'unix:a', directory = 'd' }\nserver.watch = false",
            &["1:43 SVIDs that are renewed would not be taken up"],
        ),
    ]);
    let spiffe = good("spiffe = { socket = 'unix:run/agent', directory = 'svid' }").settings.spiffe.expect("[spiffe]");
    assert_eq!(spiffe.socket, Path::new("/etc/portcullis/run/agent"));
    assert_eq!(spiffe.directory, Path::new("/etc/portcullis/svid"));
}
