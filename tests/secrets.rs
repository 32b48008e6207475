//! Secrets stay secret wherever something goes wrong or is logged, and nobody from outside writes the log (f49, f63).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use portcullis::crypto::Signer;
use portcullis::model::{Clock as _, SystemClock, SystemEntropy};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::certificates::{Authority, curl};
use crate::harness::http::{Answer, get, send};
use crate::harness::process::{Ended, Serving, folder, portcullis, run, run_with_input};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

const STORE_PASSWORD: &str = "canary-of-the-store-0123456789";
const ADMIN_TOKEN: &str = "canary-of-the-admin-plane-0123456789";
const SHARED_SECRET: &str = "canary-of-the-shared-secret-0123456789abcdef";

/// Something that must never be seen, with the name that a failing test shows instead.
struct Canary {
    name: &'static str,
    forms: Vec<String>,
}

impl Canary {
    /// As it is, in hexadecimal, as a list of bytes, and in base64 wherever it may stand within something longer.
    fn new(name: &'static str, secret: &[u8]) -> Self {
        assert!(secret.len() >= 16, "{name} is too short to be told from chance");
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let mut forms = vec![hex.to_uppercase(), hex, list];
        forms.extend(String::from_utf8(secret.to_vec()));
        for skipped in 0..3 {
            let rest = &secret[skipped..];
            let whole = &rest[..rest.len() / 3 * 3];
            forms.extend([STANDARD.encode(whole), URL_SAFE_NO_PAD.encode(whole)]);
        }
        Self { name, forms }
    }

    fn is_in(&self, text: &str) -> bool {
        self.forms.iter().any(|form| text.contains(form))
    }
}

/// All that was seen, with where.
#[derive(Default)]
struct Seen(Vec<(String, String)>);

impl Seen {
    fn text(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    fn answer(&mut self, place: &str, answer: Answer) -> u16 {
        self.text(place, format!("{}\n{}", answer.head, answer.body));
        answer.status
    }

    fn ended(&mut self, place: &str, ended: &Ended) {
        self.text(place, format!("{}\n{}", ended.stdout, ended.stderr));
    }

    #[track_caller]
    fn holds_none_of(&self, canaries: &[Canary]) {
        for (place, text) in &self.0 {
            for canary in canaries {
                let line = text.lines().find(|line| canary.is_in(line));
                assert!(!canary.is_in(text), "{} is in {place}: {line:?}", canary.name);
            }
        }
    }
}

/// A configuration with every kind of secret, and one of each credential.
struct World {
    here: PathBuf,
    _guard: TempDir,
    redis: Redis,
    upstream: Upstream,
    signer: Signer,
    key: String,
    cookie: String,
    token: String,
    shared_token: String,
    canaries: Vec<Canary>,
}

impl World {
    fn new(level: &str, format: &str) -> Self {
        let redis = Redis::with().password(STORE_PASSWORD).start();
        let upstream = Upstream::start();
        let (guard, here) = folder(&configuration(&redis, &upstream, level, format));
        let signer = Signer::generate().unwrap();
        let assertion = Signer::generate().unwrap().to_pem().expose().clone();
        let mut authority = Authority::new(&here);
        authority.server("server", &["localhost"]);
        for (name, content) in [
            ("redis-password", STORE_PASSWORD),
            ("admin-token", ADMIN_TOKEN),
            ("shared-secret", SHARED_SECRET),
            ("keys.json", &signer.jwks().to_string()),
            ("assertion.key", &assertion),
        ] {
            std::fs::write(here.join(name), content).unwrap();
        }
        let key = run(&here, &["keys", "create", "--subject", "alice", "--role", "reader", "--secret-only"]).ok();
        let cookie = run(&here, &["sessions", "create", "--subject", "carol", "--secret-only"]).ok();
        let (key, cookie) = (key.trim().to_owned(), cookie.trim().to_owned());
        let token =
            signer.sign("at+jwt", claims("https://id.example.com").as_object().unwrap(), &SystemEntropy).unwrap();
        let shared_token = hs256(&claims("https://shared.example.com"));

        let secret_of_key = key.rsplit('_').next().unwrap();
        let secret_of_cookie = cookie.rsplit('=').next().unwrap();
        let server_key = std::fs::read_to_string(here.join("server.key")).unwrap();
        let pem = |text: &str| text.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        let sha256 = |bytes: &[u8]| digest::digest(&digest::SHA256, bytes).as_ref().to_vec();
        let canaries = vec![
            Canary::new("the store's password", STORE_PASSWORD.as_bytes()),
            Canary::new("the admin token", ADMIN_TOKEN.as_bytes()),
            Canary::new("the shared secret", SHARED_SECRET.as_bytes()),
            Canary::new("an API key", secret_of_key.as_bytes()),
            Canary::new("the digest of an API key", &sha256(&secret_of_key.as_bytes()[..secret_of_key.len() - 6])),
            Canary::new("a session's cookie", secret_of_cookie.as_bytes()),
            Canary::new("the digest of a session", &sha256(&URL_SAFE_NO_PAD.decode(secret_of_cookie).unwrap())),
            Canary::new("a token's signature", token.rsplit('.').next().unwrap().as_bytes()),
            Canary::new("a shared token's signature", shared_token.rsplit('.').next().unwrap().as_bytes()),
            Canary::new("the key of the certificate", &STANDARD.decode(pem(&server_key)).unwrap()),
            Canary::new("the key of the assertion", &STANDARD.decode(pem(&assertion)).unwrap()),
        ];
        Self { here, _guard: guard, redis, upstream, signer, key, cookie, token, shared_token, canaries }
    }

    /// Every way to present a credential rightly or wrongly; each with the statuses that may come of it.
    fn requests(&self) -> Vec<(&'static str, String, &'static [u16])> {
        let Self { key, cookie, token, shared_token, .. } = self;
        let flipped = |text: &str| {
            let (last, rest) = (text.chars().last().unwrap(), &text[..text.len() - 1]);
            format!("{rest}{}", if last == 'A' { 'B' } else { 'A' })
        };
        let expired = {
            let mut claims = claims("https://id.example.com");
            claims["exp"] = 1_000_000.into();
            self.signer.sign("at+jwt", claims.as_object().unwrap(), &SystemEntropy).unwrap()
        };
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        let signature = token.rsplit('.').next().unwrap();
        vec![
            ("a key", format!("X-API-Key: {key}\r\n"), &[200]),
            ("a key as bearer", format!("Authorization: Bearer {key}\r\n"), &[200]),
            ("a cookie", format!("Cookie: {cookie}\r\n"), &[200]),
            ("a token", format!("Authorization: Bearer {token}\r\n"), &[200]),
            ("a shared token", format!("Authorization: Bearer {shared_token}\r\n"), &[200]),
            ("a wrong key", format!("X-API-Key: {}\r\n", flipped(key)), &[401]),
            ("a key within rubbish", format!("X-API-Key: <{key}>\r\n"), &[401]),
            ("two keys", format!("X-API-Key: {key}\r\nX-API-Key: {key}\r\n"), &[400]),
            ("a key and a token", format!("X-API-Key: {key}\r\nAuthorization: Bearer {token}\r\n"), &[400]),
            ("a cookie twice", format!("Cookie: {cookie}; {cookie}\r\n"), &[400]),
            ("a wrong cookie", format!("Cookie: {}x\r\n", cookie), &[401]),
            ("a cookie from elsewhere", format!("Cookie: {cookie}\r\nOrigin: https://evil.example\r\n"), &[200]),
            ("a token of another signature", format!("Authorization: Bearer {unsigned}.AA{signature}\r\n"), &[401]),
            ("a token without claims", format!("Authorization: Bearer e30.{signature}.{signature}\r\n"), &[401]),
            ("an expired token", format!("Authorization: Bearer {expired}\r\n"), &[401]),
            ("an opaque token", format!("Authorization: Bearer {SHARED_SECRET}\r\n"), &[401]),
            ("a scheme of nobody", format!("Authorization: {ADMIN_TOKEN}\r\n"), &[401]),
            ("Basic", format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("a:{STORE_PASSWORD}"))), &[401]),
        ]
    }

    /// What each of them comes to, over HTTP/1.1.
    fn present(&self, serving: &Serving, seen: &mut Seen, allowed: Option<&[u16]>) {
        let address = serving.address("main");
        for (name, headers, expected) in self.requests() {
            let status = seen.answer(name, get(address, &format!("/things?api_key={}", self.key), &headers));
            let expected = allowed.unwrap_or(expected);
            assert!(expected.contains(&status), "{name}: {status}\n{}", serving.log());
        }
    }

    /// The verbs that read the configuration or handle secrets.
    fn verbs(&self, seen: &mut Seen) {
        let here = &self.here;
        for arguments in [
            &["check"][..],
            &["check", "--print"],
            &["check", "--print", "--json"],
            &["check", "--connect"],
            &["keys", "list"],
            &["keys", "list", "--json"],
            &["sessions", "list"],
            &["sessions", "list", "--json"],
            // The secret instead of the id: easily done.
            &["keys", "show", &self.key],
            &["keys", "revoke", &self.key],
            &["keys", "revoke", self.key.rsplit('_').next().unwrap()],
            &["sessions", "revoke", &self.cookie],
            &["sessions", "revoke", self.cookie.rsplit('=').next().unwrap()],
            &["revoke", "key", &self.key],
            &["revoke", "session", &self.cookie],
            &["revoke", "token", "--issuer", "main", "--id", &self.token],
            &["revoke", "certificate", &self.token],
            &["revoke", "certificate", "--file", "assertion.key"],
            &["revocations", "list"],
            &["revocations", "list", "--json"],
            &["tokens", "inspect", &self.token, "-c", "portcullis.toml"],
            &["tokens", "inspect", &self.shared_token, "-c", "portcullis.toml", "--json"],
        ] {
            seen.ended(
                &format!("`portcullis {}`", arguments[..2.min(arguments.len())].join(" ")),
                &run(here, arguments),
            );
        }
        let broken = format!("{}.", self.token);
        for token in [&self.token, &self.shared_token, &broken, &format!("{}x", self.token), &self.key, &self.cookie] {
            seen.ended("revoke token", &run_with_input(here, &["revoke", "token"], token));
        }
        seen.ended("tokens inspect", &run_with_input(here, &["tokens", "inspect", "-c", "portcullis.toml"], &broken));
    }
}

fn configuration(redis: &Redis, upstream: &Upstream, level: &str, format: &str) -> String {
    format!(
        r#"
health.bind = "127.0.0.1:0"
log = {{ level = "{level}", format = "{format}" }}
defaults = {{ upstream = "{}", listeners = ["main", "tls"] }}
[listener.main]
bind = "127.0.0.1:0"
public_origin = "https://app.example.com"
[listener.tls]
bind = "127.0.0.1:0"
tls = {{ certificates = [{{ chain = "server.pem", key = "server.key" }}] }}
[admin]
bind = "127.0.0.1:0"
token = {{ file = "admin-token" }}
[store]
url = "{}"
password = {{ file = "redis-password" }}
timeout = "5s"
[issuer.main]
url = "https://id.example.com"
audiences = ["things"]
keys = {{ jwks_file = "keys.json" }}
[issuer.shared]
url = "https://shared.example.com"
audiences = ["things"]
algorithms = ["HS256"]
keys = {{ secret = {{ file = "shared-secret" }} }}
[assertion]
key = {{ file = "assertion.key" }}
[roles]
reader = ["things:read"]
auditor = []
[route.open]
match = "/open/{{*rest}}"
accept = "anyone"
[route.things]
match = "/things"
accept = ["api_key", "session", "jwt:main", "jwt:shared"]
identity = {{ preset = "x-auth" }}
[route.secret-things]
match = "/secret"
accept = ["api_key", "session", "jwt:main", "jwt:shared"]
allow = [{{ roles = ["auditor"] }}]
"#,
        upstream.url(),
        redis.url()
    )
}

fn claims(issuer: &str) -> Value {
    let now = SystemClock.now().as_secs();
    json!({ "iss": issuer, "sub": "bob", "aud": "things", "iat": now, "exp": now + 600 })
}

fn hs256(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "at+jwt" })), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SHARED_SECRET.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, input.as_bytes())))
}

#[test]
fn f49_the_tests_own_eyes_are_good() {
    let canary = Canary::new("a canary", ADMIN_TOKEN.as_bytes());
    let within = format!("user:{ADMIN_TOKEN}!");
    let hex: String = within.bytes().map(|byte| format!("{byte:02x}")).collect();
    for text in [
        within.clone(),
        STANDARD.encode(&within),
        STANDARD_NO_PAD.encode(format!("x{within}")),
        URL_SAFE_NO_PAD.encode(format!("xx{within}")),
        hex.clone(),
        hex.to_uppercase(),
        format!("{:?}", within.as_bytes()),
    ] {
        assert!(canary.is_in(&text), "{text}");
    }
    assert!(!canary.is_in("something else"));
}

fn secrets_are_nowhere(level: &str, format: &str) {
    let mut world = World::new(level, format);
    let mut seen = Seen::default();
    let mut serving = Serving::run(&world.here).ready();
    let address = serving.address("main");

    world.present(&serving, &mut seen, None);
    for (name, headers, _) in world.requests() {
        let status = seen.answer(name, get(address, "/secret", &headers));
        assert!([400, 401, 403].contains(&status), "{name}: {status}");
        // What is no HTTP at all, with a credential in it.
        seen.answer(name, send(address, format!("GET /things HTTP/1.1\r\nHost: a\r\n{headers}Bad Header: x\r\n\r\n")));
        seen.answer(name, send(address, format!("GET /../things HTTP/1.1\r\nHost: a\r\n{headers}\r\n")));
        let port = serving.address("tls").port();
        let mut arguments = vec!["--http2".to_owned(), format!("https://localhost:{port}/things")];
        arguments.extend(headers.lines().flat_map(|line| ["-H".to_owned(), line.to_owned()]));
        seen.text(name, curl(&world.here, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).text);
    }

    let admin = serving.admin();
    let authorized = format!("Authorization: Bearer {ADMIN_TOKEN}\r\n");
    for path in ["/v1/status", "/v1/keys", "/v1/sessions", "/v1/revocations"] {
        assert_eq!(seen.answer(path, get(admin, path, &authorized)), 200);
    }
    let wrong = format!("Authorization: Bearer {ADMIN_TOKEN}x\r\n");
    assert_eq!(seen.answer("the wrong admin token", get(admin, "/v1/keys", &wrong)), 401);
    let from_page = format!("{authorized}Origin: https://evil.example\r\n");
    assert_eq!(seen.answer("a page at the admin plane", get(admin, "/v1/keys", &from_page)), 403);

    world.verbs(&mut seen);
    let health = serving.health();
    for path in ["/livez", "/readyz", "/metrics"] {
        seen.answer(path, get(health, path, ""));
    }

    // The same while the store hangs, and while it is gone.
    world.redis.kill();
    world.present(&serving, &mut seen, Some(&[200, 400, 401, 503]));
    world.verbs(&mut seen);
    seen.answer("/metrics", get(health, "/metrics", ""));

    serving.signal(Signal::TERM);
    serving.ended();
    seen.text("the log", serving.log());
    seen.text("standard output", serving.printed());
    for request in world.upstream.received() {
        seen.text("what the upstream received", request.head.replace(&world.key_in_query(), ""));
    }
    assert!(serving.log().contains("api_key_unknown"), "what is not logged cannot leak:\n{}", serving.log());
    seen.holds_none_of(&world.canaries);
}

impl World {
    /// What clients put into a query is theirs, and goes on to the upstream.
    fn key_in_query(&self) -> String {
        format!("?api_key={}", self.key)
    }
}

#[test]
fn f49_secrets_are_in_no_text_log_answer_or_metric() {
    secrets_are_nowhere("debug", "text");
}

#[test]
fn f49_secrets_are_in_no_json_log_answer_or_metric() {
    secrets_are_nowhere("debug", "json");
}

#[test]
fn f49_secrets_are_not_even_in_the_finest_log() {
    secrets_are_nowhere("trace", "text");
}

#[test]
fn f49_a_secret_written_in_the_open_is_refused_and_not_repeated() {
    let canary = [Canary::new("a password", STORE_PASSWORD.as_bytes())];
    let base = "listener.main.bind = \"127.0.0.1:0\"\n[route.a]\nmatch = \"/a\"\naccept = \"anyone\"\n\
                upstream = \"http://127.0.0.1:9\"\n";
    for wrong in [
        format!("[store]\nurl = \"redis://127.0.0.1:1\"\npassword = \"{STORE_PASSWORD}\"\n"),
        format!("[store]\nurl = \"redis://:{STORE_PASSWORD}@127.0.0.1:1/0\"\n"),
        format!("[store]\nurl = \"redis://user:{STORE_PASSWORD}@127.0.0.1:1/nonsense\"\n"),
        format!("[admin]\nbind = \"127.0.0.1:0\"\ntoken = \"{STORE_PASSWORD}\"\n"),
        format!("[admin]\nbind = \"127.0.0.1:0\"\ntoken = {{ value = \"{STORE_PASSWORD}\" }}\n"),
        format!(
            "[issuer.a]\nurl = \"https://a.example\"\naudiences = [\"a\"]\nalgorithms = [\"HS256\"]\n\
             keys = {{ secret = \"{STORE_PASSWORD}\" }}\n"
        ),
    ] {
        let (_guard, here) = folder(&format!("{base}{wrong}"));
        for verb in [&["run"][..], &["check"], &["check", "--json"]] {
            let ended = run(&here, verb);
            assert_eq!(ended.code, Some(2), "{wrong}\n{ended:#?}");
            let mut seen = Seen::default();
            seen.ended(&format!("{verb:?} of {}", wrong.replace(STORE_PASSWORD, "…")), &ended);
            seen.holds_none_of(&canary);
        }
    }
    let (_guard, here) = folder(base);
    for over in [format!("store.password={STORE_PASSWORD}"), format!("store.url=redis://:{STORE_PASSWORD}@127.0.0.1:1")]
    {
        let ended = run(&here, &["check", "--set", &over]);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        let mut seen = Seen::default();
        seen.ended("--set", &ended);
        seen.holds_none_of(&canary);
    }
}

#[test]
fn f49_a_wrong_password_of_the_store_is_not_told() {
    let redis = Redis::with().password("another-password").start();
    let upstream = Upstream::start();
    let (_guard, here) = folder(&format!(
        "listener.main.bind = \"127.0.0.1:0\"\nhealth.bind = \"127.0.0.1:0\"\nlog.level = \"debug\"\n\
         defaults.upstream = \"{}\"\n[route.a]\nmatch = \"/a\"\naccept = \"api_key\"\n\
         [store]\nurl = \"{}\"\npassword = {{ env = \"STORE_PASSWORD\" }}\ntimeout = \"5s\"\n",
        upstream.url(),
        redis.url()
    ));
    let with = |arguments: &[&str]| {
        let mut command = portcullis(&here);
        command.args(arguments).env("STORE_PASSWORD", STORE_PASSWORD);
        command
    };
    let serving = Serving::start(&mut with(&["run"]));
    serving.says("not ready");
    let mut seen = Seen::default();
    seen.answer("/readyz", get(serving.health(), "/readyz", ""));
    let checked = with(&["check", "--connect", "--print"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    seen.text("check", String::from_utf8_lossy(&checked.stdout) + String::from_utf8_lossy(&checked.stderr));
    seen.text("the log", serving.log());
    seen.holds_none_of(&[Canary::new("the store's password", STORE_PASSWORD.as_bytes())]);
}

/// A handshake that asks for a name that is none.
fn handshake(folder: &Path, port: u16, name: &str) {
    let connect = format!("127.0.0.1:{port}");
    let ended = Command::new("openssl")
        .current_dir(folder)
        .args(["s_client", "-connect", &connect, "-servername", name])
        .stdin(Stdio::null())
        .output()
        .expect("openssl");
    drop(ended);
}

#[test]
fn f63_nobody_from_outside_writes_lines_of_the_log_or_of_a_page() {
    const MARK: &str = "2026-01-01T00:00:00Z  INFO forged <script>alert(1)</script>";
    for format in ["text", "json"] {
        let world = World::new("debug", format);
        let mut serving = Serving::run(&world.here).ready();
        let address = serving.address("main");
        let mut seen = Seen::default();
        let mut say = |request: String| {
            seen.answer("an answer", send(address, request));
        };

        let escaped: String = format!("\r\n{MARK}").bytes().map(|byte| format!("%{byte:02X}")).collect();
        say(format!("GET /open/{escaped} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let visible: String =
            format!("\u{85}\u{2028}\u{9b}31m{MARK}").bytes().map(|byte| format!("%{byte:02X}")).collect();
        say(format!("GET /open/{visible} HTTP/1.1\r\nHost: a\r\n\r\n"));
        say("GET /open/<script>alert(1)</script> HTTP/1.1\r\nHost: a\r\n\r\n".to_owned());
        for name in ["Host", "User-Agent", "X-Request-Id", "X-Forwarded-For", "X-API-Key", "Cookie", "Authorization"] {
            let host = if name == "Host" { "" } else { "Host: a\r\n" };
            for value in [MARK.to_owned(), format!("\u{1b}[2J{MARK}"), format!("a\r{MARK}"), format!("a\n{MARK}")] {
                say(format!("GET /things HTTP/1.1\r\n{host}{name}: {value}\r\n\r\n"));
            }
        }
        say(format!("{MARK} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        // A name that an issuer vouches for.
        let mut claims = claims("https://id.example.com");
        claims["sub"] = format!("bob\r\n{MARK}").into();
        let token = world.signer.sign("at+jwt", claims.as_object().unwrap(), &SystemEntropy).unwrap();
        say(format!("GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"));
        claims["aud"] = format!("somebody\r\n{MARK}").into();
        let token = world.signer.sign("at+jwt", claims.as_object().unwrap(), &SystemEntropy).unwrap();
        say(format!("GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"));
        for name in [format!("a\r\n{MARK}"), "<script>alert(1)</script>".to_owned()] {
            handshake(&world.here, serving.address("tls").port(), &name);
        }
        let created = run(&world.here, &["keys", "create", "--subject", &format!("x\r\n{MARK}"), "--secret-only"]);
        if created.code == Some(0) {
            say(format!("GET /secret HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", created.stdout.trim()));
        }
        let listed = run(&world.here, &["keys", "list"]);
        assert!(!listed.stdout.contains(&format!("\n{MARK}")), "{listed:?}");

        serving.signal(Signal::TERM);
        serving.ended();
        let log = serving.log();
        assert!(log.contains("control_character"), "{log}");
        for line in log.lines() {
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert!(is_own(line, format), "this line is not ours: {line:?}");
            assert!(!line.starts_with("2026-01-01T00:00:00Z"), "forged: {line:?}");
        }
        for (_, answer) in &seen.0 {
            let (_, body) = answer.split_once("\n{").unwrap_or((answer, ""));
            assert!(!body.contains("<script>"), "{answer}");
        }
    }
}

/// Whether a line has the form of our own lines.
fn is_own(line: &str, format: &str) -> bool {
    if format == "json" {
        return serde_json::from_str::<Value>(line).is_ok_and(|line| line["timestamp"].is_string());
    }
    let mut words = line.split_whitespace();
    let time = words.next().is_some_and(|word| word.len() == 27 && word.ends_with('Z') && word.starts_with("20"));
    time && words.next().is_some_and(|level| ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level))
}
