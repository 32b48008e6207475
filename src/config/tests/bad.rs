//! Bad input: what is said, and where.

use super::*;

/// Each row: what is added to a good configuration, and what is said of it. Lines count from the addition.
pub(super) fn check(rows: &[(&str, &[&str])]) {
    let before = format!("{BASE}{ROUTE}");
    let lines = before.matches('\n').count();
    for (more, said) in rows {
        let found: Vec<String> = match read(&format!("{before}{more}")) {
            Ok(_) => Vec::new(),
            Err(found) => {
                let at = |p: &Problem| format!("{}:{} {}", p.line as i64 - lines as i64, p.column, p.message);
                found.problems.iter().map(at).collect()
            }
        };
        assert_eq!(found, *said, "{more}");
    }
}

#[test]
fn six_mistakes_are_reported_at_once_in_order() {
    let text = r#"[listener.main]
bind = "localhost:8080"
max_headrs = 5

[session]
idle_timeout = "30 minutes"

[route.app]
match = "/{*rest}"
accept = ["jwt", "sesion"]
upstream = "orders"
"#;
    let Err(found) = read(text) else { panic!("good?") };
    assert_eq!(
        found.to_string(),
        r#"error: `localhost:8080` is no address and port
  |
 --> a.toml:2:8
  |
2 | bind = "localhost:8080"
  |        ^^^^^^^^^^^^^^^^
  |
  = help: "127.0.0.1:8080"

error: `listener.main` has no key `max_headrs`
  |
 --> a.toml:3:1
  |
3 | max_headrs = 5
  | ^^^^^^^^^^
  |
  = help: did you mean `max_headers`?

error: `30 minutes` is no duration
  |
 --> a.toml:6:16
  |
6 | idle_timeout = "30 minutes"
  |                ^^^^^^^^^^^^
  |
  = help: a whole number and a unit: "250ms", "30s", "5m", "12h" or "7d"

error: `jwt` without an issuer: no token could be accepted
   |
  --> a.toml:10:11
   |
10 | accept = ["jwt", "sesion"]
   |           ^^^^^
   |
   = help: add [issuer.NAME]

error: `sesion` is no kind of credential
   |
  --> a.toml:10:18
   |
10 | accept = ["jwt", "sesion"]
   |                  ^^^^^^^^
   |
   = help: did you mean `session`?

error: there is no `upstream.orders`
   |
  --> a.toml:11:12
   |
11 | upstream = "orders"
   |            ^^^^^^^^
   |
   = help: there is none

6 problems in the configuration"#
    );
}

#[test]
fn nothing_is_served_by_omission() {
    assert_eq!(problems(""), ["1:1 no listener: nobody could connect", "1:1 no route: nothing would be served"]);
    let text = "listener.main.bind = '127.0.0.1:0'\n[route.app]\nmatch = '/'\nupstream = 'http://a'\n";
    assert_eq!(problems(text), ["2:8 `route.app` lacks `accept`"]);
    assert_eq!(
        problems("[listener.main]\n[route.app]\n"),
        [
            "1:11 `listener.main` lacks `bind`",
            "2:8 `route.app` lacks `match`",
            "2:8 `route.app` lacks `accept`",
            "2:8 `route.app` lacks `upstream`",
        ]
    );
}

#[test]
fn keys_and_kinds_of_values_are_checked() {
    check(&[
        ("sever.workers = 1", &["1:1 a configuration has no key `sever`"]),
        ("session.cokie = 'a'", &["1:9 `session` has no key `cokie`"]),
        ("server.workers = 'many'", &["1:18 `many` is not one of the choices"]),
        ("server.workers = 0", &["1:18 `0` is out of range"]),
        ("server.workers = true", &["1:18 expected a whole number or a string, found a boolean"]),
        ("session.cookie = 5", &["1:18 expected a string, found an integer"]),
        ("session.idle_timeout = 30", &["1:24 expected a duration, found an integer"]),
        ("session.idle_timeout = '0s'", &["1:24 must not be zero"]),
        ("log.access = 'yes'", &["1:14 expected `true` or `false`, found a string"]),
        ("log.level = ''", &["1:13 must not be empty"]),
        ("store = 'memory:'", &["1:9 expected a table, found a string"]),
        ("limit = []", &["1:9 expected a table, found a list"]),
        ("log.level = 1.5", &["1:13 expected a string, found a floating-point number"]),
        ("log.level = \"a\\u0000b\"", &["1:13 contains a control character"]),
        ("limit.'a b'.rate = '1/s'", &["1:7 `a b` is no name"]),
    ]);
}

#[test]
fn what_later_versions_bring_is_named_as_such() {
    check(&[
        ("accounts.database = 'x'", &["1:1 `accounts` is not available in this version"]),
        ("listener.main.serve = 'auth_request'", &["1:23 `auth_request` is not available in this version"]),
        (
            "upstream.a = { endpoints = 'grpc://a', discovery = 'x' }",
            &[
                "1:28 `grpc:` is no scheme of an endpoint",
                "1:40 `upstream.a.discovery` is not available in this version",
            ],
        ),
        ("defaults.identity.preset = 'envoy'", &["1:28 `envoy` is not one of the choices"]),
        ("defaults.identity.certificate = 'client-cert-chain'", &["1:33 `client-cert-chain` without `client-cert`"]),
        ("route.app.allow = { when = 'true' }", &["1:21 `route.app.allow[0].when` is not available in this version"]),
    ]);
    let shared = format!("{BASE}{ROUTE}limit.a = {{ rate = '5/s', counter = 'shared' }}");
    let Err(found) = read(&shared) else { panic!("good?") };
    assert!(found.to_string().contains("shared limits need a Redis store"), "{found}");
}

#[test]
fn a_route_that_nothing_can_satisfy_is_refused() {
    let tls = "listener.main.tls.certificates = { chain = 'c', key = 'k' }\n";
    let asks = format!("{tls}listener.main.tls.client_auth = {{ mode = 'optional', ca = 'ca' }}\n");
    let off = format!("{tls}listener.main.tls.client_auth.mode = 'off'\n");
    let host_off = "listener.main.tls.hosts.'a.example'.client_auth.mode = 'off'\n";
    let host_asks = "listener.main.tls.hosts.'a.example'.client_auth = { mode = 'required', ca = 'ca' }\n";
    let rule = "[[mtls]]\nmatch.dns = '{name}'\n";
    let accept = |what: &str, more: &str| format!("route.app.accept = {what}\n{more}");
    let no_client = "1:20 `mtls` without client certificates: none of the route's listeners asks for one";
    let issuers = "[issuer.a]\nurl = 'https://a'\naudiences = 'x'\n[issuer.b]\nurl = 'https://b'\naudiences = 'x'\n";
    check(&[
        (&accept("'jwt'", ""), &["1:20 `jwt` without an issuer: no token could be accepted"]),
        (&accept("'jwt'", issuers), &["1:20 `jwt` of which issuer? There are several"]),
        (&accept("'jwt:c'", issuers), &["1:20 there is no `issuer.c`"]),
        (&accept("'jwt:a'", issuers), &[]),
        (&accept("'mtls'", rule), &[no_client]),
        (&accept("'mtls'", &format!("{tls}{rule}")), &[no_client]),
        (&accept("'mtls'", &format!("{off}{rule}")), &[no_client]),
        (&accept("'mtls+session'", ""), &[no_client]),
        (&accept("'mtls'", &asks), &["1:20 `mtls` without rules: no certificate becomes an identity"]),
        (&accept("'mtls'", &format!("{asks}{rule}")), &[]),
        (&accept("'mtls'", &format!("{tls}{host_off}{rule}")), &[no_client]),
        (&accept("'mtls'", &format!("{off}{host_asks}{rule}")), &[]),
        (&accept("'mtls+session'", &asks), &[]),
        (&accept("'session+mtls'", ""), &["1:20 `session+mtls` is written `mtls+session`"]),
        (&accept("'api_key+session'", ""), &["1:20 `api_key+session` cannot be asked for"]),
        (&accept("'session:a'", ""), &["1:20 `session` has no names"]),
        (&accept("['session', 'session']", ""), &["1:32 `session` stands here twice"]),
        (&accept("[]", ""), &["1:20 the list must not be empty"]),
    ]);
}

#[test]
fn nothing_is_public_by_default() {
    let text = "listener.main.bind = '127.0.0.1:0'\n[defaults]\naccept = ['session', 'anyone']\nupstream = 'http://a'\n[route.a]\nmatch = '/'\n";
    assert_eq!(problems(text), ["3:22 `anyone` cannot be a default: every public route says so itself"]);
    check(&[("defaults.match = '/'", &["1:10 `defaults.match` cannot have a default"])]);
}

#[test]
fn routes_that_tie_are_refused_naming_both_places() {
    let tie = |a: &str, b: &str| format!("route.x.match = '{a}'\nroute.y.match = '{b}'\n");
    let said = |a: &str, b: &str| {
        let text = format!("{BASE}{}", tie(a, b));
        read(&text).err().map(|found| found.to_string())
    };
    for (a, b) in [
        ("/a/{b}", "/a/{c}"),
        ("/{*a}", "/{*b}"),
        ("GET a.example/x", "GET A.Example./x"),
        ("*.a.example/", "*.A.example/"),
    ] {
        let found = said(a, b).unwrap_or_else(|| panic!("{a} and {b} do not tie"));
        assert!(found.contains("`route.x` and `route.y` match the same requests"), "{found}");
        assert!(found.contains("a.toml:5") || found.contains("5 |"), "{found}");
        assert!(found.contains("6 |"), "{found}");
    }
    for (a, b) in
        [("/a/{b}", "/a/b"), ("/a", "/a/"), ("GET /a", "/a"), ("GET /a", "POST /a"), ("a.b/", "/"), ("*.b/", "b/")]
    {
        assert_eq!(said(a, b), None, "{a} and {b}");
    }
}

#[test]
fn routes_on_several_listeners_say_which() {
    let text = "listener.a.bind = '127.0.0.1:1'\nlistener.b.bind = '127.0.0.1:2'\n[defaults]\nupstream = 'http://a'\naccept = 'session'\n[route.x]\nmatch = '/'\nlisteners = 'a'\n[route.y]\nmatch = '/'\n[route.z]\nmatch = '/z'\nlisteners = ['b', 'c']\n";
    assert_eq!(
        problems(text),
        [
            "9:8 `route.y` lacks `listeners`, and there are several",
            "10:9 `route.x` and `route.y` match the same requests",
            "13:19 there is no `listener.c`",
        ]
    );
}

#[test]
fn names_must_be_names_of_something() {
    let issuer = "[issuer.main]\nurl = 'https://a'\naudiences = 'x'\n";
    check(&[
        ("route.app.limits = 'a'", &["1:20 there is no `limit.a`"]),
        ("route.app.upstream = 'a'", &["1:22 there is no `upstream.a`"]),
        ("route.app.allow = { roles = 'admin' }", &["1:29 there is no `roles.admin`"]),
        ("roles.a = ['x']\nroute.app.deny = { permissions = 'y' }", &["2:34 no role has the permission `y`"]),
        ("roles.a = ['x:*']\nroute.app.deny = { permissions = 'x:y' }", &[]),
        (
            "route.app.allow = { principals = 'alice' }",
            &["1:34 `alice` names nobody: a principal is issuer and subject"],
        ),
        ("route.app.allow = { principals = 'main/alice' }", &["1:34 there is no `issuer.main`"]),
        (&format!("route.app.allow = {{ principals = ['main/a/b', 'local/c'] }}\n{issuer}"), &[]),
        ("roles.a = { inherits = 'b' }", &["1:24 there is no `roles.b`"]),
    ]);
}

#[test]
fn a_rule_without_conditions_is_refused() {
    check(&[
        ("route.app.deny = { acr = 'a' }", &["1:26 a deny rule with `acr` would refuse those who have it"]),
        ("route.app.allow = { mode = 'report' }", &["1:19 a rule without conditions matches every request"]),
        ("route.app.allow = { claims = { a = [] } }", &["1:36 `route.app.allow[0].claims.a` names no value"]),
        ("route.app.policies = 'staff'", &["1:22 there is no `policy.staff`"]),
        ("policy.staff = {}", &["1:8 `policy.staff` has no rules"]),
        ("route.app.deny = {}", &["1:18 a rule without conditions matches every request"]),
        ("route.app.allow = { roles = [] }", &["1:29 the list must not be empty"]),
        ("route.app.allow = { groups = [''] }", &["1:31 must not be empty"]),
        ("route.app.allow = { groups = { env = 'EMPTY' } }", &["1:30 must not be empty"]),
        ("route.app.allow = { methods = 'get' }", &["1:31 `get` is no method"]),
        ("route.app.allow = { networks = '10.0.0.1/8' }", &["1:32 `10.0.0.1/8` has bits beyond its prefix"]),
        ("route.app.allow = { scopes = 'a b' }", &["1:30 `a b` is no scope"]),
    ]);
}

#[test]
fn roles_do_not_go_in_circles() {
    check(&[
        ("roles.a = { inherits = 'a' }", &["1:24 the role `a` inherits itself"]),
        (
            "roles.a = { inherits = 'b' }\nroles.b = { inherits = 'a' }",
            &["1:24 the role `b` inherits itself", "2:24 the role `a` inherits itself"],
        ),
        ("roles.a = ['x', 'y', 'x']", &["1:22 `roles.a` has `x` twice"]),
        ("roles.a = 'x*'", &["1:11 `*` stands after `:`"]),
    ]);
}

#[test]
fn f09_f54_trust_and_client_certificates_are_never_empty_by_mistake() {
    let tls = "listener.main.tls.certificates = { chain = 'c', key = 'k' }\n";
    check(&[
        (
            &format!("{tls}listener.main.tls.client_auth.mode = 'required'"),
            &["2:38 `listener.main.tls.client_auth` lacks `ca`"],
        ),
        (
            &format!("{tls}listener.main.tls.client_auth = {{ mode = 'required', ca = '' }}"),
            &["2:59 must not be empty"],
        ),
        (
            &format!("{tls}listener.main.tls.client_auth = {{ ca = 'x' }}"),
            &["2:19 `listener.main.tls.client_auth` lacks `mode`"],
        ),
        (
            &format!("{tls}listener.main.tls.hosts.a.client_auth = {{ mode = 'optional' }}"),
            &["2:50 `listener.main.tls.hosts.a.client_auth` lacks `ca`"],
        ),
        (
            &format!("{tls}listener.main.tls.hosts.a.client_auth = {{}}"),
            &["2:27 `listener.main.tls.hosts.a.client_auth` lacks `mode`"],
        ),
        (&format!("{tls}listener.main.tls.hosts.a = {{}}"), &["2:25 `listener.main.tls.hosts.a` lacks `client_auth`"]),
        (
            &format!("{tls}listener.main.tls.hosts = {{}}"),
            &["2:27 `listener.main.tls.hosts` is empty: it changes nothing"],
        ),
        (
            &format!("{tls}[listener.main.tls.hosts]\n'a*b'.client_auth.mode = 'off'\n'*'.client_auth.mode = 'off'"),
            &["3:1 `a*b` is no host", "4:1 what holds for every name stands in `tls` itself"],
        ),
        (
            &format!("{tls}[listener.main.tls.hosts]\n'127.0.0.1'.client_auth.mode = 'off'"),
            &["3:1 `127.0.0.1` is an address: no client asks for one by SNI"],
        ),
        (
            &format!("{tls}[listener.main.tls.hosts]\n'A.b'.client_auth.mode = 'off'\n'a.b.'.client_auth.mode = 'off'"),
            &["4:1 `a.b.` is another spelling of a name above"],
        ),
        ("listener.main.tls = {}", &["1:15 `listener.main.tls` lacks `certificates`"]),
        ("listener.main.tls.certificates = []", &["1:34 the list must not be empty"]),
        ("listener.main.trusted_proxies = ['all']", &["1:34 `all` is no network"]),
        ("listener.main.public_origin = 'https://a/b'", &["1:31 not an origin"]),
    ]);
}

#[test]
fn f27_algorithms_fit_the_kind_of_key() {
    let issuer = |more: &str| format!("[issuer.a]\nurl = 'https://a'\naudiences = 'x'\n{more}");
    check(&[
        (&issuer("algorithms = 'none'"), &["4:14 `none` is not one of the choices"]),
        (&issuer("algorithms = ['RS256', 'HS256']"), &["4:24 `HS256` does not fit the keys of `issuer.a`"]),
        (
            &issuer("algorithms = 'RS256'\nkeys.secret = { env = 'SECRET' }"),
            &["4:14 `RS256` does not fit the keys of `issuer.a`"],
        ),
        (
            &issuer("algorithms = 'HS512'\nkeys.secret = { env = 'SECRET' }"),
            &["5:15 `issuer.a.keys.secret` is shorter than 64 bytes"],
        ),
        (&issuer("keys.secret = { env = 'WORKERS' }"), &["4:15 `issuer.a.keys.secret` is shorter than 32 bytes"]),
        (
            &issuer("keys = { pem_file = 'a', jwks_file = 'b' }"),
            &["4:21 `issuer.a.keys` has both `jwks_file` and `pem_file`"],
        ),
        (
            &issuer("keys = { pem_file = 'a', refresh = '1m' }"),
            &["4:36 `issuer.a.keys.refresh` is for keys that are fetched"],
        ),
        (
            &issuer("keys = { jwks_file = 'a', snapshot = 'b' }"),
            &["4:38 `issuer.a.keys.snapshot` is for keys that are fetched"],
        ),
        (&issuer("keys.jwks_url = 'http://169.254.169.254/'"), &["4:17 link-local addresses are never asked"]),
        (&issuer("keys.jwks_url = 'file:///etc/passwd'"), &["4:17 not an `https:` URL"]),
        (&issuer("leeway = '1h'"), &["4:10 a leeway of more than 10 minutes is no difference of clocks"]),
    ]);
    let twice = issuer("[issuer.b]\nurl = 'https://a'\naudiences = 'y'");
    check(&[(&twice, &["5:7 two issuers with the same `url`: a token could be of either"])]);
    let both = issuer("keys.snapshot = 'k'\n[issuer.b]\nurl = 'https://b'\naudiences = 'y'\nkeys.snapshot = './k'");
    check(&[(&both, &["8:17 two issuers with the same `snapshot`: each would overwrite the other's"])]);
}

#[test]
fn f36_own_issuers_are_nobody_elses() {
    check(&[
        ("[issuer.local]\nurl = 'https://a'\naudiences = 'x'", &["1:9 no issuer can be called `local`"]),
        (
            "assertion.issuer = 'https://a'\n[issuer.a]\nurl = 'https://a'\naudiences = []",
            &["1:20 the assertion has the same `iss` as `issuer.a`", "4:13 the list must not be empty"],
        ),
        (
            "assertion.issuer = 'mine'\n[issuer.a]\nurl = 'portcullis'\naudiences = 'x'\nkeys.pem_file = 'a'",
            &["3:7 `portcullis` is the issuer of Portcullis's own principals"],
        ),
    ]);
}

#[test]
fn headers_of_ours_have_no_other_meaning() {
    check(&[
        ("api_key.header = 'Authorization'", &["1:18 `Authorization: Bearer` always carries keys"]),
        ("api_key.header = 'Cookie'", &["1:18 the header `cookie` has another meaning"]),
        ("assertion.header = 'a b'", &["1:20 `a b` is no header name"]),
        ("defaults.identity.headers = { Host = 'subject' }", &["1:31 the header `host` has another meaning"]),
        ("defaults.identity.headers = { x-user = 'subjct' }", &["1:40 `subjct` is nothing a header can tell"]),
        (
            "defaults.identity.headers = { x-user = 'subject', x_user = 'name' }",
            &["1:51 `x_user` is another spelling of a header above"],
        ),
        ("defaults.identity.headers = { X-Api-Key = 'subject' }", &["1:31 `x-api-key` is the header of API keys"]),
        ("session.cookie = 'a b'", &["1:18 not a cookie name"]),
    ]);
}

#[test]
fn limits_count_what_is_known_at_their_stage() {
    check(&[
        ("limit.a = {}", &["1:7 `limit.a` lacks `rate`"]),
        ("limit.a.rate = 'many'", &["1:16 `many` is no rate"]),
        ("limit.a = { rate = '1/s', key = 'client.adress' }", &["1:33 `client.adress` is not one of the choices"]),
        (
            "limit.a = { rate = '1/s', key = 'credential.id', stage = 'failed_authentication' }",
            &["1:58 nobody is known at this stage, so only the client's address can be counted"],
        ),
    ]);
}

#[test]
fn addresses_are_bound_once() {
    check(&[
        ("health.bind = '127.0.0.1:8080'", &["1:15 `127.0.0.1:8080` is bound twice"]),
        ("listener.b.bind = ':8080'\nroute.app.listeners = 'main'", &["1:19 `:8080` is no address and port"]),
        ("admin.bind = '127.0.0.1:9901'", &["1:14 operations over TCP need a token"]),
        ("admin.token = { env = 'SECRET' }", &["1:15 `admin.token` without `admin.bind` protects nothing"]),
        (
            "admin = { bind = '127.0.0.1:1', token = { env = 'WORKERS' } }",
            &["1:41 `admin.token` is shorter than 16 bytes"],
        ),
    ]);
}

#[test]
fn upstreams_and_stores_are_addresses_and_nothing_else() {
    check(&[
        (
            "upstream.a.endpoints = 'http://a/b'",
            &["1:24 an endpoint has no path: requests keep the one they came with"],
        ),
        ("upstream.a.endpoints = 'a:80'", &["1:24 not an `http:`, `https:`, `h2c:` or `unix:` URL"]),
        ("upstream.a.endpoints = []", &["1:24 the list must not be empty"]),
        (
            "upstream.a = { endpoints = 'http://a', tls.ca = 'x' }",
            &["1:40 `upstream.a.tls` says how to verify `https`, and no endpoint is"],
        ),
        ("store.url = 'postgres://a'", &["1:13 not a store"]),
        ("store.url = 'memory://a'", &["1:13 `memory:` takes no host"]),
        (
            "store = { url = 'redis://a', ca = 'x' }",
            &["1:35 `store.ca` is for `rediss`: this connection is not encrypted"],
        ),
        (
            "store = { url = 'redis+cluster://a,b', certificate = { chain = 'c', key = 'k' } }",
            &["1:54 `store.certificate` is for `rediss`: this connection is not encrypted"],
        ),
        ("store = { url = 'rediss://a', certificate = { chain = 'c' } }", &["1:31 `store.certificate` lacks `key`"]),
        ("store.url = 'redis+cluster://a,b/1'", &["1:13 a cluster has only database 0"]),
        ("store.url = 'redis+cluster://'", &["1:13 no host"]),
        (
            "store.url = 'redis+cluster://a,b:c/0'",
            &["1:13 one of the hosts is none: `HOST` or `HOST:PORT`, with a `,` between two"],
        ),
        ("store.url = 'redis+sentinel://a,/m'", &["1:13 no host"]),
        ("store.url = 'redis+sentinel://a,b#c/m'", &["1:13 no `?` or `#` belongs there"]),
        (
            "store.url = 'rediss+cluster://a,b:x'",
            &["1:13 one of the hosts is none: `HOST` or `HOST:PORT`, with a `,` between two"],
        ),
        ("store.url = 'rediss+cluster://a,b?c=d'", &["1:13 no `?` or `#` belongs there"]),
        (
            "store = { url = 'redis+cluster://a', prefix = '}' }",
            &["1:47 a cluster needs a prefix that can be a hash tag, and this one begins with `}`"],
        ),
        (
            "store.url = 'redis+sentinel://a,b'",
            &["1:13 the name of the master is missing: what `sentinel monitor` calls it"],
        ),
        ("store.url = 'rediss+sentinel://a,b/m/x'", &["1:13 the database is not a number"]),
        (
            "store = { url = 'redis+sentinel://a,b/m', sentinel_username = 'u' }",
            &["1:17 a user of the sentinels without a password"],
        ),
        (
            "store = { url = 'redis://a', sentinel_username = 'u' }",
            &["1:50 `store.sentinel_username` is for sentinels, and `store.url` names none"],
        ),
        (
            "store.sentinel_username = 'a'",
            &["1:27 `store.sentinel_username` is for Redis, and `store.url` is `memory:`"],
        ),
        ("store.url = 'valkey://a'", &["1:13 not a store"]),
        ("store.username = 'a'", &["1:18 `store.username` is for Redis, and `store.url` is `memory:`"]),
        ("store.url = 'redis+unix://run/redis'", &["1:13 `redis+unix:` wants a path"]),
        (
            "session = { idle_timeout = '2d' }",
            &["1:28 `session.idle_timeout` is longer than `session.absolute_timeout`"],
        ),
    ]);
}

#[test]
fn f49_secrets_are_refused_in_the_open_and_never_shown() {
    for more in [
        "store.url = 'redis://:hunter2@a'",
        "store.url = 'redis://u:hunter2@a/x'",
        "store.url = 'redis+sentinel://:hunter2@a,b/m'",
        "store.url = 'redis+cluster://u:hunter2@a,b:x'",
        "store = { url = 'redis+sentinel://a,b/m', sentinel_password = 'hunter2' }",
        "store = 'redis://u:hunter2@a'",
        "store = { url = 'redis://a', password = 'hunter2' }",
        "store = { url = 'redis://a', pasword = 'hunter2' }",
        "store = { url = 'redis://a', password = { env = 'NONE', default = 'hunter2' } }",
        "store = { url = 'redis://a', password = { file = 'x', text = 'hunter2' } }",
        "store.password = ['hunter2']",
        "admin.token = '''\nhunter2\n'''",
        "admin.tokn = 'hunter2'",
        "assertion.key = '-----BEGIN hunter2'",
        "assertion.kee = '-----BEGIN hunter2'",
        "issuer.a.keys = { secret = 'hunter2', refresh = 5 }",
        "password = 'hunter2'",
        "upstream.a.endpoints = 'http://u:hunter2@a'",
        "route.app.upstream = 'http://u:hunter2@a/b'",
        "client_secret = \"hunter2",
    ] {
        let Err(found) = read(&format!("{BASE}{ROUTE}{more}")) else { panic!("good? {more}") };
        let json = serde_json::to_string(&found.problems).expect("JSON");
        for shown in [found.to_string(), format!("{found:?}"), json] {
            assert!(!shown.contains("hunter2"), "{more}: {shown}");
        }
    }
    for set in
        ["store.password=hunter2", "store.url=redis://u:hunter2@a", "hunter2", "a b=hunter2", "admin.tokn=\"hunter2\""]
    {
        let Err(found) = read_with(&format!("{BASE}{ROUTE}"), &[set]) else { panic!("good? {set}") };
        let shown = format!("{found:?}{found}");
        assert!(!shown.contains("hunter2"), "{set}: {shown}");
    }
}
