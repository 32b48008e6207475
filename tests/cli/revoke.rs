//! Revoking with the binary: through the instance's socket, and past it into a shared store.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis::crypto::Signer;
use portcullis::model::{Clock as _, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::certificates::{Authority, curl};
use crate::harness::http::get;
use crate::harness::process::{Ended, Serving, folder, run, run_with_input};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

const ISSUER: &str = "https://id.example.com";

/// An instance with every kind of credential, and who speaks to it.
struct World {
    here: PathBuf,
    serving: Serving,
    signer: Signer,
    /// Whether commands speak to the instance, so that what they did is in force when they end.
    through_instance: bool,
    _upstream: Upstream,
    _guard: TempDir,
    redis: Option<Redis>,
}

impl World {
    /// With a store within the instance.
    fn embedded() -> Self {
        Self::start(None)
    }

    /// With a store that commands write to themselves.
    fn shared() -> Self {
        Self::start(Some(Redis::start()))
    }

    fn start(redis: Option<Redis>) -> Self {
        let upstream = Upstream::start();
        let (socket, store) = match &redis {
            None => ("admin.socket = \"unix:admin.sock\"", String::new()),
            Some(redis) => ("", format!("[store]\nurl = \"{}\"\ntimeout = \"5s\"\n", redis.url())),
        };
        let (guard, here) = folder(&format!(
            r#"
listener.main.bind = "127.0.0.1:0"
health.bind = "127.0.0.1:0"
{socket}
defaults.upstream = "{}"
revocation.max_staleness = "30s"
{store}
[issuer.main]
url = "{ISSUER}"
audiences = ["things"]
keys = {{ jwks_file = "keys.json" }}
[issuer.other]
url = "https://other.example.com"
audiences = ["things"]
keys = {{ jwks_file = "keys.json" }}
[route.all]
match = "/{{*rest}}"
accept = ["api_key", "session", "jwt:main", "jwt:other"]
"#,
            upstream.url()
        ));
        let signer = Signer::generate().unwrap();
        std::fs::write(here.join("keys.json"), signer.jwks().to_string()).unwrap();
        let serving = Serving::run(&here).ready();
        let through_instance = redis.is_none();
        Self { here, serving, signer, through_instance, _upstream: upstream, _guard: guard, redis }
    }

    /// A token of `bob`, with these claims in place of the usual ones; `null` takes one away.
    fn token(&self, changes: Value) -> String {
        let now = SystemClock.now().as_secs();
        let mut claims = json!({ "iss": ISSUER, "sub": "bob", "aud": "things", "iat": now, "exp": now + 600 });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        self.signer.sign("at+jwt", claims.as_object().unwrap(), &SystemEntropy).unwrap()
    }

    /// A session's header line and id.
    fn session(&self, subject: &str) -> (String, String) {
        let made = run(&self.here, &["sessions", "create", "--subject", subject, "--json"]).json();
        let cookie = made["cookie"].as_str().unwrap();
        (format!("Cookie: {cookie}\r\n"), made["session"]["id"].as_str().unwrap().to_owned())
    }

    /// A key's header line and id.
    fn key(&self, subject: &str) -> (String, String) {
        let made = run(&self.here, &["keys", "create", "--subject", subject, "--json"]).json();
        let key = made["key"].as_str().unwrap();
        (format!("X-API-Key: {key}\r\n"), made["record"]["id"].as_str().unwrap().to_owned())
    }

    fn status(&self, line: &str) -> u16 {
        get(self.serving.address("main"), "/", line).status
    }

    #[track_caller]
    fn admits(&self, line: &str) {
        assert_eq!(self.status(line), 200, "{line}\n{}", self.serving.log());
    }

    /// At once where the instance was asked; where another process wrote to the store, as soon as it has heard of it.
    #[track_caller]
    fn refuses(&self, line: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.status(line);
            if status == 401 {
                return;
            }
            assert!(!self.through_instance && Instant::now() < deadline, "{status}: {line}\n{}", self.serving.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(&self.here, arguments)
    }

    fn kinds(&self) -> Vec<String> {
        let list = self.run(&["revocations", "list", "--json"]).json();
        let kind = |view: &Value| view["kind"].as_str().unwrap().to_owned();
        let kinds: Vec<_> = list["revocations"].as_array().unwrap().iter().map(kind).collect();
        assert_eq!(list["total"], kinds.len());
        kinds
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Runs each of the functions named with each kind of store.
macro_rules! in_each_store {
    ($($name:ident)*) => {
        mod embedded {
            $(#[test]
            fn $name() {
                super::$name(&super::World::embedded());
            })*
        }
        mod shared {
            $(#[test]
            fn $name() {
                super::$name(&super::World::shared());
            })*
        }
    };
}

in_each_store! {
    sessions_and_keys_are_revoked_by_id
    a_token_is_revoked_by_its_text_or_its_id
    all_of_a_subject_is_revoked_and_what_comes_later_is_not
    only_what_was_issued_before_a_time_is_revoked
    all_tokens_of_a_subject_of_an_issuer_are_revoked
    what_is_revoked_is_listed
    what_makes_no_sense_is_refused_and_revokes_nothing
}

fn sessions_and_keys_are_revoked_by_id(of: &World) {
    let ((session, session_id), (key, key_id)) = (of.session("carol"), of.key("ci"));
    let ((other_session, _), (other_key, _)) = (of.session("carol"), of.key("ci"));
    for line in [&session, &key, &other_session, &other_key] {
        of.admits(line);
    }
    assert_eq!(of.run(&["revoke", "session", &session_id]).ok(), format!("revoked {session_id}\n"));
    of.refuses(&session);
    assert_eq!(of.run(&["revoke", "key", &key_id, "--json"]).json()[0]["state"], "revoked");
    of.refuses(&key);
    of.admits(&other_session);
    of.admits(&other_key);
    of.run(&["revoke", "session", &session_id]).failed(1, &["there is no session"]);
    assert_eq!(of.kinds(), ["api_key", "session"]);
}

fn a_token_is_revoked_by_its_text_or_its_id(of: &World) {
    let named = of.token(json!({ "jti": "id-1" }));
    let nameless = of.token(json!({ "nonce": 1 }));
    let in_file = of.token(json!({ "jti": "id-2" }));
    let by_id = of.token(json!({ "jti": "id-3" }));
    let elsewhere = of.token(json!({ "jti": "id-3", "iss": "https://other.example.com" }));
    let other = of.token(json!({ "nonce": 2 }));
    for token in [&named, &nameless, &in_file, &by_id, &elsewhere, &other] {
        of.admits(&bearer(token));
    }
    let said = run_with_input(&of.here, &["revoke", "token"], &format!("Bearer {named}\n")).ok();
    assert!(said.starts_with("revoked token https://id.example.com id-1, until 20"), "{said}");
    of.refuses(&bearer(&named));
    // Nobody need be able to verify it: whoever holds it may give it up.
    let (unsigned, _) = nameless.rsplit_once('.').unwrap();
    let said = run_with_input(&of.here, &["revoke", "token"], &format!("{unsigned}.AAAA")).ok();
    assert!(said.contains(" sha256:"), "{said}");
    of.refuses(&bearer(&nameless));
    std::fs::write(of.here.join("token"), &in_file).unwrap();
    of.run(&["revoke", "token", "--file", "token"]).ok();
    of.refuses(&bearer(&in_file));
    let revoked = of.run(&["revoke", "token", "--issuer", "main", "--id", "id-3", "--json"]).json();
    assert_eq!(revoked["in_force"][0]["issuer"], ISSUER);
    of.refuses(&bearer(&by_id));
    of.admits(&bearer(&elsewhere));
    of.run(&["revoke", "token", "--issuer", "https://other.example.com", "--id", "id-3"]).ok();
    of.refuses(&bearer(&elsewhere));
    of.admits(&bearer(&other));
}

fn all_of_a_subject_is_revoked_and_what_comes_later_is_not(of: &World) {
    let mine = [of.session("carol").0, of.session("carol").0, of.key("carol").0];
    let others = [of.session("dave").0, of.key("dave").0, bearer(&of.token(json!({ "sub": "carol" })))];
    mine.iter().chain(&others).for_each(|line| of.admits(line));
    let said = of.run(&["revoke", "subject", "carol"]).ok();
    assert!(said.contains("revoked principal_before carol before 20"), "{said}");
    assert!(said.contains("ended 2 live sessions and 1 API keys"), "{said}");
    mine.iter().for_each(|line| of.refuses(line));
    others.iter().for_each(|line| of.admits(line));
    assert_eq!(of.run(&["sessions", "list", "--subject", "carol", "--ids-only"]).ok(), "");
    assert!(of.run(&["keys", "list", "--subject", "carol"]).ok().contains("revoked"));
    let later = [of.session("carol").0, of.key("carol").0];
    later.iter().for_each(|line| of.admits(line));
    mine.iter().for_each(|line| of.refuses(line));
    // Once more, for those that came later.
    let again = of.run(&["revoke", "subject", "carol", "--issuer", "portcullis", "--json"]).json();
    assert_eq!((&again["sessions"], &again["api_keys"]), (&json!(1), &json!(1)));
    later.iter().for_each(|line| of.refuses(line));
    of.admits(&of.session("carol").0);
}

fn only_what_was_issued_before_a_time_is_revoked(of: &World) {
    let now = SystemClock.now().as_secs();
    let issued = |iat: Value| bearer(&of.token(json!({ "iat": iat })));
    let (old, new, undated) = (issued(json!(now - 200)), issued(json!(now - 50)), issued(Value::Null));
    let mine = of.session("bob").0;
    for line in [&old, &new, &undated, &mine] {
        of.admits(line);
    }
    let before = portcullis::admin::views::rfc3339(portcullis::model::Timestamp::from_secs(now - 100));
    of.run(&["revoke", "subject", "bob", "--issuer", ISSUER, "--before", &before]).ok();
    of.run(&["revoke", "subject", "bob", "--before", &before]).ok();
    of.refuses(&old);
    of.refuses(&undated);
    of.admits(&new);
    of.admits(&mine);
}

fn all_tokens_of_a_subject_of_an_issuer_are_revoked(of: &World) {
    let now = SystemClock.now().as_secs();
    let issued = |iss: &str, iat: u64| bearer(&of.token(json!({ "iss": iss, "iat": iat })));
    let (here, elsewhere) = (issued(ISSUER, now - 5), issued("https://other.example.com", now - 5));
    of.admits(&here);
    of.admits(&elsewhere);
    let revoked = of.run(&["revoke", "subject", "bob", "--issuer", "main", "--json"]).json();
    assert_eq!(revoked["in_force"][0]["issuer"], ISSUER);
    of.refuses(&here);
    of.admits(&elsewhere);
    // One that is issued afterwards; `iat` counts whole seconds.
    while SystemClock.now().as_secs() < now + 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    of.admits(&issued(ISSUER, SystemClock.now().as_secs()));
    of.refuses(&here);
}

fn what_is_revoked_is_listed(of: &World) {
    assert_eq!(of.run(&["revocations", "list"]).ok(), "KIND  WHAT  UNTIL\n");
    let fingerprint = "ab".repeat(32);
    of.run(&["revoke", "certificate", &fingerprint.to_uppercase()]).ok();
    of.run(&["revoke", "subject", "shop/orders", "--issuer", "mtls"]).ok();
    for id in ["b", "c", "a"] {
        of.run(&["revoke", "token", "--issuer", "main", "--id", id]).ok();
    }
    assert_eq!(of.kinds(), ["certificate", "principal_before", "sessions", "token", "token", "token"]);
    let text = of.run(&["revocations", "list"]).ok();
    assert!(text.contains(&fingerprint) && text.contains("mtls|shop/orders before 20"), "{text}");
    let certificate = text.lines().find(|line| line.contains(&fingerprint)).unwrap();
    assert!(certificate.ends_with("  never"), "{text}");
    let some = of.run(&["revocations", "list", "--kind", "token", "--limit", "2"]);
    assert!(some.stderr.contains("1 more"), "{some:?}");
    let some = some.ok();
    let ids: Vec<_> = some.lines().skip(1).map(|line| line.split_whitespace().nth(2).unwrap()).collect();
    assert_eq!(ids, ["a", "b"], "{some}");
    of.run(&["revocations", "list", "--kind", "tokens"])
        .failed(of.invalid(), &["no kind `tokens`", "principal_before"]);

    let metrics = || get(of.serving.health(), "/metrics", "").body;
    let deadline = Instant::now() + Duration::from_secs(30);
    while !metrics().contains("portcullis_revocations{kind=\"token\"} 3") {
        assert!(Instant::now() < deadline, "{}", metrics());
    }
    assert!(metrics().contains("portcullis_revocations{kind=\"certificate\"} 1"), "{}", metrics());
}

impl World {
    /// The exit code of what makes no sense: the instance cannot tell it from any other refusal.
    fn invalid(&self) -> i32 {
        if self.through_instance { 1 } else { 2 }
    }
}

fn what_makes_no_sense_is_refused_and_revokes_nothing(of: &World) {
    let foreign = of.token(json!({ "iss": "https://foreign.example.com" }));
    let ended = run_with_input(&of.here, &["revoke", "token"], &foreign);
    assert!(!ended.stderr.contains(&foreign), "{ended:?}");
    ended.failed(of.invalid(), &["https://foreign.example.com", "main (https://id.example.com)", "other"]);
    for (input, says) in [("a.b", "segments"), ("", "no token"), ("a.b.c", "base64url")] {
        let code = if input.is_empty() { 2 } else { of.invalid() };
        run_with_input(&of.here, &["revoke", "token"], input).failed(code, &[says]);
    }
    let own = of.token(json!({ "jti": "x" }));
    let ended = of.run(&["revoke", "token", "--issuer", "main", "--id", &own]);
    assert!(!ended.stderr.contains(&own) && !ended.stdout.contains(&own), "{ended:?}");
    ended.failed(of.invalid(), &["the token itself"]);
    for (arguments, code, says) in [
        (&["token", "--issuer", "nobody", "--id", "x"][..], of.invalid(), "main (https://id.example.com)"),
        (&["token", "--issuer", "main"], 2, "--id"),
        (&["subject", "bob", "--issuer", "mian"], of.invalid(), "main (https://id.example.com)"),
        (&["subject", "bob", "--for", "1h"], of.invalid(), "name no duration"),
        (&["subject", "bob", "--before", "yesterday"], of.invalid(), "RFC 3339"),
        (&["subject", "bob", "--before", "2999-01-01T00:00:00Z"], of.invalid(), "lies ahead"),
        (
            &["subject", "a/b", "--issuer", "mtls", "--before", "2020-01-01T00:00:00Z"],
            of.invalid(),
            "does not say when",
        ),
        (&["subject", ""], of.invalid(), "may not be empty"),
        (&["certificate", "abcd"], of.invalid(), "64 hexadecimal digits"),
        (&["certificate"], 2, "FINGERPRINT"),
        (&["certificate", "--file", "keys.json"], 2, "no certificate"),
        (&["certificate", "--file", "nowhere.pem"], 2, "nowhere.pem"),
        (&["session", "../keys"], 2, "letters and digits"),
    ] {
        of.run(&[&["revoke"], arguments].concat()).failed(code, &[says]);
    }
    assert!(of.kinds().is_empty());
}

#[test]
fn f34_without_the_store_a_revocation_fails_loudly() {
    let mut of = World::shared();
    let (session, id) = of.session("carol");
    of.admits(&session);
    of.redis.as_mut().unwrap().kill();
    for arguments in [
        &["session", &*id][..],
        &["key", "NoSuchKey"],
        &["subject", "carol"],
        &["token", "--issuer", "main", "--id", "x"],
        &["certificate", &*"ab".repeat(32)],
    ] {
        of.run(&[&["revoke"], arguments].concat()).failed(1, &["store: not reachable", "call again, which is safe"]);
    }
    of.run(&["revocations", "list"]).failed(1, &["store: not reachable"]);
}

const MTLS: &str = r#"
[listener.main]
bind = "127.0.0.1:0"
[listener.main.tls]
certificates = [{ chain = "server.pem", key = "server.key" }]
client_auth = { mode = "optional", ca = "clients.pem" }
[health]
bind = "127.0.0.1:0"
[admin]
socket = "unix:admin.sock"
[[mtls]]
match = { uri = "spiffe://cluster.local/ns/{ns}/sa/{sa}" }
subject = "{ns}/{sa}"
[route.all]
match = "/{*rest}"
accept = "mtls"
"#;

#[test]
fn certificates_are_revoked_by_fingerprint_by_file_and_by_subject() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&format!("defaults.upstream = \"{}\"\n{MTLS}", upstream.url()));
    Authority::new(&here).server("server", &["localhost"]);
    let mut clients = Authority::named(&here, "clients");
    for name in ["one", "two", "three"] {
        clients.client(name, "spiffe://cluster.local/ns/shop/sa/orders");
    }
    clients.client("other", "spiffe://cluster.local/ns/shop/sa/billing");
    let serving = Serving::run(&here).ready();
    let url = format!("https://localhost:{}/", serving.address("main").port());
    let status =
        |name: &str| curl(&here, &["--cert", &format!("{name}.pem"), "--key", &format!("{name}.key"), &url]).status();
    for name in ["one", "two", "three", "other"] {
        assert_eq!(status(name), 200, "{name}");
    }
    // As OpenSSL writes it: with colons, in upper case.
    let fingerprint = openssl_fingerprint(&here, "one.pem");
    assert_eq!(fingerprint.len(), 95, "{fingerprint}");
    run(&here, &["revoke", "certificate", &fingerprint]).ok();
    assert_eq!((status("one"), status("two")), (401, 200));
    let key = std::fs::read_to_string(here.join("two.key")).unwrap();
    let certificate = std::fs::read_to_string(here.join("two.pem")).unwrap();
    std::fs::write(here.join("both.pem"), key + &certificate).unwrap();
    let revoked = run(&here, &["revoke", "certificate", "--file", "both.pem", "--json"]).json();
    assert_ne!(revoked["in_force"][0]["until"], "never", "it ends with the certificate");
    assert_eq!((status("two"), status("three")), (401, 200));
    let said = run(&here, &["revoke", "subject", "shop/orders", "--issuer", "mtls", "--for", "2h"]).ok();
    assert!(!said.contains("never"), "{said}");
    assert_eq!((status("three"), status("other")), (401, 200));
    let said = run(&here, &["revoke", "subject", "shop/billing", "--issuer", "mtls"]).ok();
    assert!(said.contains("until never"), "{said}");
    assert_eq!(status("other"), 401);
}

fn openssl_fingerprint(folder: &Path, file: &str) -> String {
    let arguments = ["x509", "-noout", "-fingerprint", "-sha256", "-in", file];
    let output = Command::new("openssl").current_dir(folder).args(arguments).output().expect("openssl");
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().split_once('=').expect("NAME=FINGERPRINT").1.to_owned()
}
