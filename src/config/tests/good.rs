//! Good input: what it means.

use std::time::Duration;

use http::Method;

use super::*;
use crate::model::CredentialKind;
use crate::model::settings::*;

#[test]
fn the_smallest_useful_file_is_good() {
    let loaded = read(
        r#"
        listener.main.bind = "0.0.0.0:8080"
        defaults.upstream = "http://127.0.0.1:3000/"
        [issuer.main]
        preset = "keycloak"
        url = "https://sso.example.com/realms/acme"
        audiences = ["orders"]
        [route]
        health = { match = "/healthz", accept = "anyone" }
        app = { match = "/{*rest}", accept = "jwt" }
        "#,
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    let Settings { routes, issuers, upstreams, .. } = &loaded.settings;
    assert_eq!(routes[1].accept, Accept::Public);
    let jwt = Alternative { kind: CredentialKind::Jwt, issuer: Some("main".into()), with_certificate: false };
    assert_eq!(routes[0].accept, Accept::OneOf { alternatives: vec![jwt], optional: false });
    assert_eq!(issuers[0].claims.roles.as_deref(), Some("/realm_access/roles"));
    assert_eq!(issuers[0].claims.groups.as_deref(), Some("groups"));
    assert!(issuers[0].algorithms.iter().all(|algorithm| !algorithm.is_symmetric()));
    assert_eq!(upstreams.len(), 1);
    assert_eq!(routes[0].upstream, upstreams[0].name);
    assert_eq!(&*upstreams[0].name, "http://127.0.0.1:3000");
    assert_eq!(value(&loaded, "issuer.main.claims.roles"), (&"/realm_access/roles".into(), "a.toml:5"));
}

#[test]
fn defaults_are_safe() {
    let Settings { admin, listeners, routes, session, store, .. } = good("").settings;
    assert!(admin.socket.is_none() && admin.tcp.is_none());
    assert!(listeners[0].trusted_proxies.is_empty() && !listeners[0].trust_unix);
    assert!(listeners[0].proxy_protocol.is_none() && listeners[0].hsts.is_none());
    assert!(!routes[0].security_headers);
    let route = &routes[0];
    assert_eq!((route.on_stale, route.tolerate), (OnStale::Deny, PathTolerance::default()));
    assert_eq!(route.stream_grace, StreamGrace::For(Duration::ZERO));
    assert!(!route.forward_credentials && !route.websocket_bearer && route.origins.is_empty());
    assert_eq!(&*session.cookie, "__Host-session");
    assert!(matches!(store.kind, StoreKind::Memory { file: None }));
}

#[test]
fn a_routes_own_value_replaces_the_default_and_only_deny_adds_up() {
    let text = "listener.main.bind = '127.0.0.1:0'\n[defaults]\naccept = 'session'\nupstream = 'http://a'\ndeny = [{ networks = '192.0.2.0/24' }]\nallow = { methods = 'GET' }\n[route.a]\nmatch = '/a'\ndeny = { methods = 'DELETE' }\n[route.b]\nmatch = '/b'\naccept = 'api_key'\nallow = { methods = 'PUT' }\n";
    let loaded = read(text).unwrap_or_else(|problems| panic!("{problems}"));
    let [a, b] = &loaded.settings.routes[..] else { panic!("two") };
    let names = |rules: &[Rule]| rules.iter().map(|rule| rule.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&a.rules.deny), ["defaults.deny[0]", "route.a.deny[0]"]);
    assert_eq!(names(&b.rules.deny), ["defaults.deny[0]"]);
    assert_eq!(a.rules.deny[1].methods, [Method::DELETE]);
    assert_eq!(
        (a.rules.allow[0].methods.clone(), b.rules.allow[0].methods.clone()),
        (vec![Method::GET], vec![Method::PUT])
    );
    assert_eq!(value(&loaded, "route.a.accept"), (&serde_json::json!(["session"]), "a.toml:3"));
    assert_eq!(value(&loaded, "route.b.accept"), (&serde_json::json!(["api_key"]), "a.toml:12"));
}

#[test]
fn hsts_becomes_the_value_of_its_header() {
    let tls = "listener.main.tls.certificates = { chain = 'c', key = 'k' }";
    for (hsts, header) in [
        ("'off'", None),
        ("{}", Some("max-age=31536000")),
        ("{ max_age = '5m' }", Some("max-age=300")),
        ("{ max_age = '0s' }", Some("max-age=0")),
        ("{ include_subdomains = true }", Some("max-age=31536000; includeSubDomains")),
        (
            "{ max_age = '730d', include_subdomains = true, preload = true }",
            Some("max-age=63072000; includeSubDomains; preload"),
        ),
    ] {
        let loaded = good(&format!("{tls}\nlistener.main.hsts = {hsts}"));
        let found = loaded.settings.listeners[0].hsts.as_ref().map(|value| value.to_str().expect("text"));
        assert_eq!(found, header, "{hsts}");
    }
}

#[test]
fn anyone_in_a_list_means_optional() {
    let loaded = good("route.app.accept = ['session', 'anyone']");
    assert!(
        matches!(&loaded.settings.routes[0].accept, Accept::OneOf { optional: true, alternatives } if alternatives.len() == 1)
    );
    let loaded = good("route.app.accept = ['anyone']");
    assert_eq!(loaded.settings.routes[0].accept, Accept::Public);
}

#[test]
fn roles_inherit_permissions_and_imply_roles() {
    let loaded = good(
        "[roles]\na = ['x:read']\nb = { inherits = ['a'], permissions = ['x:*'] }\nc = { inherits = 'b' }\nd = '*'\n",
    );
    let RoleTable { grants, implies } = loaded.settings.roles;
    assert_eq!(grants["c"], [PermissionPattern::Exact("x:read".into()), PermissionPattern::Prefix("x:".into())].into());
    assert_eq!(implies["c"], ["a".into(), "b".into(), "c".into()].into());
    assert_eq!(grants["d"], [PermissionPattern::Any].into());
}

#[test]
fn principals_are_pairs_of_issuer_and_subject() {
    let loaded = good(
        "route.app.allow = { principals = ['main/a/b', 'local/c'] }\n[issuer.main]\nurl = 'https://id'\naudiences = 'x'\n",
    );
    let pairs: Vec<_> = loaded.settings.routes[0].rules.allow[0].principals.iter().map(ToString::to_string).collect();
    assert_eq!(pairs, ["https://id|a/b", "portcullis|c"]);
}

fn join(nodes: &[RedisNode]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn stores() {
    let kind = |url: &str| match good(url).settings.store.kind {
        StoreKind::Memory { file } => format!("{file:?}"),
        StoreKind::Redis(redis) => {
            let password = redis.password.map(|password| password.expose().clone());
            let address = match redis.address {
                RedisAddress::Server(node) => node.to_string(),
                RedisAddress::Unix(path) => path.display().to_string(),
                RedisAddress::Cluster(seeds) => join(&seeds),
                RedisAddress::Sentinel(asked) => {
                    let password = asked.password.map(|password| password.expose().clone());
                    format!("{} of {} as {:?} {password:?}", asked.master, join(&asked.sentinels), asked.username)
                }
            };
            let tls = redis.tls.map(|tls| format!(" {:?} {:?}", tls.ca, tls.certificate)).unwrap_or_default();
            format!("{address} {} {:?} {password:?}{tls}", redis.database, redis.username)
        }
    };
    let ca = "Some(\"/etc/portcullis/x\") None";
    let certificate = "None Some(CertificateFiles { chain: \"/etc/portcullis/c\", key: \"/etc/portcullis/k\" })";
    for (text, means) in [
        ("store.url = 'memory:keys.db'", "Some(\"/etc/portcullis/keys.db\")"),
        ("store.url = 'redis://a'", "a:6379 0 None None"),
        ("store.url = 'redis://[::1]:1/3'", "[::1]:1 3 None None"),
        ("store = { url = 'rediss://a', ca = 'x' }", &format!("a:6379 0 None None {ca}")),
        (
            "store = { url = 'rediss://a', certificate = { chain = 'c', key = 'k' } }",
            &format!("a:6379 0 None None {certificate}"),
        ),
        ("store.url = 'redis+cluster://a'", "a:6379 0 None None"),
        ("store.url = 'redis+cluster://a:1,b,[::1]:2/0'", "a:1,b:6379,[::1]:2 0 None None"),
        ("store = { url = 'rediss+cluster://a,b', ca = 'x' }", &format!("a:6379,b:6379 0 None None {ca}")),
        ("store.url = 'redis+sentinel://a/m'", "m of a:26379 as None None 0 None None"),
        (
            "store = { url = 'redis+sentinel://u@a:1,b,c:3/m%20m/5', password = { env = 'WORKERS' } }",
            "m m of a:1,b:26379,c:3 as None None 5 Some(\"u\") Some(\"3\")",
        ),
        (
            "store = { url = 'rediss+sentinel://a,b/m', certificate = { chain = 'c', key = 'k' }, sentinel_username = 's', \
             sentinel_password = { env = 'WORKERS' } }",
            &format!("m of a:26379,b:26379 as Some(\"s\") Some(\"3\") 0 None None {certificate}"),
        ),
        ("store.url = 'redis+unix:///run/r.sock?db=2'", "/run/r.sock 2 None None"),
        (
            "store = { url = 'redis://a', username = 'u', password = { env = 'WORKERS' } }",
            "a:6379 0 Some(\"u\") Some(\"3\")",
        ),
        // From the environment, a URL may hold its password.
        ("store.url = { env = 'REDIS_URL' }", "redis.internal:6380 2 Some(\"u\") Some(\"hunter2\")"),
    ] {
        assert_eq!(kind(text), means, "{text}");
    }
}

#[test]
fn values_come_from_the_environment_in_any_type() {
    let loaded = good(
        "server.workers = { env = 'WORKERS' }\nlog.access = { env = 'TRUTH' }\nlog.level = { env = 'NONE', default = 'warn' }\nlistener.main.max_headers = { env = 'WORKERS' }\nroute.app.accept = [{ env = 'NONE', default = 'api_key' }]\n",
    );
    let Settings { server, log, listeners, .. } = &loaded.settings;
    assert_eq!((server.workers, log.access, log.level.as_str()), (Some(3), true, "warn"));
    assert_eq!(listeners[0].limits.max_headers, 3);
    assert_eq!(value(&loaded, "server.workers"), (&3.into(), "a.toml:6"));
    assert_eq!(
        problems(&format!("{BASE}{ROUTE}server.workers = {{ env = 'NONE' }}\nlog.access = {{ env = 'WORKERS' }}")),
        [
            "6:18 the environment variable `NONE` is not set",
            "7:14 `WORKERS` from the environment is not `true` or `false`"
        ]
    );
}

#[test]
fn names_like_those_of_references_stay_names() {
    let loaded = good("roles = { env = 'x:read', default = 'x:write' }\n");
    assert_eq!(loaded.settings.roles.grants.len(), 2);
}

#[test]
fn live_streams_may_be_given_time() {
    for (text, expected) in [
        ("0s", StreamGrace::For(Duration::ZERO)),
        ("90s", StreamGrace::For(Duration::from_secs(90))),
        ("unlimited", StreamGrace::Unlimited),
    ] {
        let loaded = good(&format!("route.app.stream_grace = '{text}'\n"));
        assert_eq!(loaded.settings.routes[0].stream_grace, expected);
    }
}

#[test]
fn f49_secrets_are_kept_but_not_shown() {
    let loaded = good(
        "store.url = { env = 'REDIS_URL' }\nadmin = { bind = '127.0.0.1:1', token = { env = 'SECRET' } }\n[issuer.a]\nurl = 'a'\naudiences = 'x'\nkeys.secret = { env = 'SECRET' }\n",
    );
    let tcp = loaded.settings.admin.tcp.as_ref().expect("a token");
    assert!(tcp.token.matches(b"hunter2hunter2hunter2hunter2hunter2"));
    let shown = format!("{loaded:?} {}", serde_json::to_string(&loaded.effective).expect("JSON"));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(value(&loaded, "issuer.a.keys.secret").0, "[secret]");
    assert_eq!(value(&loaded, "store.url").0, "[secret]");
    assert_eq!(loaded.settings.issuers[0].algorithms, [Algorithm::HS256]);
}

#[test]
fn effective_values_name_their_source() {
    let text = format!("{BASE}{ROUTE}session.idle_timeout = '5m'\n");
    let loaded = read_with(&text, &["log.level=debug"]).unwrap_or_else(|problems| panic!("{problems}"));
    for (path, json, source) in [
        ("session.idle_timeout", serde_json::json!("5m"), "a.toml:6"),
        ("session.absolute_timeout", serde_json::json!("12h"), "default"),
        ("log.level", serde_json::json!("debug"), "--set"),
        ("listener.main.timeouts.idle", serde_json::json!("75s"), "default"),
        ("route.app.accept", serde_json::json!(["session"]), "a.toml:4"),
    ] {
        assert_eq!(value(&loaded, path), (&json, source), "{path}");
    }
    assert!(!loaded.effective.iter().any(|value| value.path.starts_with("defaults")));
}

#[test]
fn every_key_that_may_be_written_is_read() {
    let loaded = good(
        "server = { shutdown_grace = '1s', drain_delay = '2s' }\nrevocation.max_staleness = '3s'\nsession = { idle_timeout = '4s', absolute_timeout = '5s' }\nassertion = { lifetime = '6s', jwks_path = 'none', header = 'x-a', issuer = 'me' }\napi_key = { header = 'x-k', environment = 'test' }\nstore = { url = 'redis://a', prefix = 'p:', timeout = '7s', replicas = 8 }\n",
    );
    let s = loaded.settings;
    let secs = Duration::from_secs;
    assert_eq!((s.server.shutdown_grace, s.server.drain_delay, s.max_staleness), (secs(1), secs(2), secs(3)));
    assert_eq!((s.session.idle_timeout, s.session.absolute_timeout, s.assertion.lifetime), (secs(4), secs(5), secs(6)));
    assert_eq!((s.assertion.jwks_path, s.assertion.header.as_str(), &*s.assertion.issuer), (None, "x-a", "me"));
    assert_eq!((s.api_key.header.as_str(), &*s.api_key.environment), ("x-k", "test"));
    assert_eq!((s.store.prefix.as_str(), s.store.timeout, s.store.replicas), ("p:", secs(7), 8));
}

#[test]
fn summaries_have_a_line_a_route_and_say_what_is_public() {
    let loaded = good(
        "limit.a.rate = '1/s'\nroute.app.limits = 'a'\nroute.app.deny = { methods = 'PUT' }\n[route.open]\nmatch = ['GET a.example/x/', '*.b/{c}']\naccept = 'anyone'\n[route.maybe]\nmatch = '/maybe'\naccept = ['anyone', 'api_key']\nallow = [{ scopes = 'a' }, { scopes = 'b' }]\n",
    );
    assert_eq!(
        summary(&loaded.settings),
        [
            "route.app: /{*rest} → http://127.0.0.1:3000 | accept: session | limits: a | deny: 1 rule | allow: every accepted identity",
            "route.maybe: /maybe → http://127.0.0.1:3000 | accept: api_key, PUBLIC | allow: 2 rules",
            "route.open: GET a.example/x/, *.b/{c} → http://127.0.0.1:3000 | accept: PUBLIC",
        ]
    );
}

#[test]
fn warnings_name_what_looks_like_a_mistake() {
    let warns = |more: &str| good(more).warnings.to_string();
    assert!(warns("").contains("`route.app` admits every identity that it accepts"));
    assert!(warns("session.cookie = 'sid'").contains("other sites of the same domain"));
    assert!(warns("listener.main.trusted_proxies = '0.0.0.0/0'").contains("lets every client choose its own address"));
    assert!(warns("[issuer.a]\nurl = 'http://a'\naudiences = 'x'").contains("over clear text"));
    assert!(!warns("[issuer.a]\nurl = 'http://127.0.0.1:1'\naudiences = 'x'").contains("over clear text"));
}

#[test]
fn stricter_routes_inside_weaker_ones_are_warned_of() {
    let inside = |more: &str| good(more).warnings.to_string().contains("`route.admin` is stricter than `route.app`");
    let admin = |more: &str| format!("[route.admin]\nmatch = '/admin/{{*rest}}'\n{more}\n");
    assert!(inside(&admin("allow = { methods = 'GET' }")));
    assert!(inside(&format!("route.app.accept = 'anyone'\n{}", admin(""))));
    assert!(!inside(&admin("")), "not stricter");
    assert!(!inside(&admin("allow = { methods = 'GET' }\nupstream = 'http://elsewhere'")), "another upstream");
    assert!(!inside(&format!("route.app.allow = {{ methods = 'GET' }}\n{}", admin("allow = { methods = 'PUT' }"))));
}

#[test]
fn address_limits_behind_a_proxy_that_nobody_trusts_are_warned_of() {
    let warns = |more: &str| {
        good(&format!("limit.a.rate = '1/s'\nroute.app.limits = 'a'\n{more}"))
            .warnings
            .to_string()
            .contains("counts by address")
    };
    assert!(warns("listener.main.public_origin = 'https://a.example'"));
    assert!(!warns("listener.main.public_origin = 'https://a.example'\nlistener.main.trusted_proxies = '127.0.0.1'"));
    assert!(!warns(""));
    let unix = format!("{BASE}{ROUTE}limit.a.rate = '1/s'\nroute.app.limits = 'a'");
    let unix = unix.replace("127.0.0.1:8080", "unix:/run/x");
    let loaded = read(&unix).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.to_string().contains("counts by address"));
}

#[test]
fn a_listener_with_everything() {
    let loaded = good(
        "[listener.main.tls]\ncertificates = [{ chain = 'a.pem', key = '/b.key' }]\ntls12 = false\nclient_auth = { mode = 'required', ca = 'ca.pem', crls = 'crl.pem' }\n[listener.main.tls.hosts]\n'Open.example'.client_auth.mode = 'off'\n'*.b.example'.client_auth = { mode = 'optional', ca = 'b.pem' }\n[listener.main.timeouts]\nidle = '9s'\n",
    );
    let tls = loaded.settings.listeners[0].tls.as_ref().expect("TLS");
    assert_eq!(tls.certificates[0].chain, Path::new("/etc/portcullis/a.pem"));
    assert_eq!(tls.certificates[0].key, Path::new("/b.key"));
    assert!(!tls.tls12);
    let auth = tls.client_auth.as_ref().expect("client certificates");
    assert!(auth.required && auth.ca == Path::new("/etc/portcullis/ca.pem") && auth.crls.len() == 1);
    assert_eq!(tls.client_auth_of(Some("other.example")), Some(auth));
    assert_eq!(tls.client_auth_of(Some("open.example")), None);
    let of_b = tls.client_auth_of(Some("a.b.example")).expect("client certificates");
    assert!(!of_b.required && of_b.ca == Path::new("/etc/portcullis/b.pem") && of_b.crls.is_empty());
    assert_eq!(loaded.settings.listeners[0].limits.idle_timeout, Duration::from_secs(9));
}
