//! Sessions that the application itself keeps in Redis: records and cookies that its framework made
//! (`tests/fixtures/sessions`), read by the whole of Portcullis.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use portcullis::crypto::session_secret;
use portcullis::model::{Clock, LogEntry, Principal, Revocation, SystemClock, Timestamp};
use serde_json::{Value, json};

use super::{operate, preamble_with, until};
use crate::harness::http::{get, post};
use crate::harness::portcullis::{Portcullis, Setup, block_on};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

macro_rules! fixture {
    ($layout:literal, $name:expr) => {
        found(include_str!(concat!("../../fixtures/sessions/", $layout, "/sessions.json")), $name)
    };
}

mod hostile;

fn found(sessions: &str, name: &str) -> Value {
    let sessions: Vec<Value> = serde_json::from_str(sessions).expect("JSON");
    sessions.into_iter().find(|session| session["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

/// `secret` of the fixtures of express-session.
const SECRET: &str = "keyboard cat";

const EXPRESS: &str = r#"
[session]
layout = "connect-redis"
[session.foreign]
secrets = [{ file = "newer" }, { file = "secret" }]
subject = "/user/id"
roles = "/user/roles"
email = "/user/email"
"#;

const PHP: &str = r#"
[session]
layout = "php"
foreign = { subject = "/user/id", roles = "/user/roles" }
"#;

const JSON: &str = r#"
[session]
layout = "json"
cookie = "sid"
foreign = { key_prefix = "app:s:", subject = "sub", roles = "roles", expires = "ends" }
"#;

/// Stands still until it is moved.
struct Held(AtomicU64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// The application: its Redis, what is behind Portcullis, and a clock.
struct World {
    redis: Redis,
    upstream: Upstream,
    portcullis: Portcullis,
    clock: Arc<Held>,
}

impl World {
    fn start(session: &str) -> Self {
        Self::with(session, Upstream::start())
    }

    fn with(session: &str, upstream: Upstream) -> Self {
        let (redis, setup) = (Redis::start(), Setup::new());
        for (name, secret) in [("newer", "a newer secret of the application"), ("secret", SECRET)] {
            std::fs::write(setup.folder().join(name), secret).expect("a secret");
        }
        let configuration = format!(
            "{}{session}[route]\napp = {{ match = \"/app\", accept = \"session\", upstream = \"{url}\" }}\n\
             editors = {{ match = \"/editors\", accept = \"session\", upstream = \"{url}\", allow = [{{ roles = [\"editor\"] }}] }}\n\
             optional = {{ match = \"/optional\", accept = [\"session\", \"anyone\"], upstream = \"{url}\" }}\n\
             public = {{ match = \"/public\", accept = \"anyone\", upstream = \"{url}\" }}\n",
            // The clock jumps farther than the revocation log may be old by default.
            preamble_with(&redis.url(), "12h") + "[roles]\nreader = [\"read\"]\neditor = [\"write\"]\n",
            url = upstream.url(),
        );
        let clock = Arc::new(Held(AtomicU64::new(SystemClock.now().0)));
        let portcullis =
            setup.try_start_by(clock.clone(), &configuration).unwrap_or_else(|problem| panic!("{problem}"));
        Self { redis, upstream, portcullis, clock }
    }

    /// Puts a fixture's record where the application puts it.
    fn keep(&self, session: &Value) {
        let key = session["key"].as_str().expect("a key");
        match session["fields"].as_object() {
            Some(fields) => {
                let words =
                    fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_str().unwrap().as_bytes()]);
                self.raw(&[&[b"HSET", key.as_bytes()], &words.collect::<Vec<_>>()[..]].concat());
            }
            None => {
                let value = match session["value"].as_str() {
                    Some(text) => text.as_bytes().to_vec(),
                    None => STANDARD.decode(session["value_base64"].as_str().unwrap()).unwrap(),
                };
                self.raw(&[b"SET", key.as_bytes(), &value]);
            }
        }
        if let Some(ttl) = session["ttl"].as_i64().filter(|ttl| *ttl > 0) {
            self.raw(&[b"EXPIRE", key.as_bytes(), (ttl + 3600).to_string().as_bytes()]);
        }
    }

    fn raw(&self, words: &[&[u8]]) {
        let client = redis::Client::open(format!("unix://{}", self.redis.socket().display())).expect("an address");
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.exec(&mut client.get_connection().expect("a connection")).expect("Redis does it");
    }

    fn get(&self, target: &str, cookie: &str) -> u16 {
        get(self.portcullis.address(), target, &format!("Cookie: theme=dark; {cookie}\r\n")).status
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    /// What the upstream was told last.
    fn told(&self) -> (Option<String>, Option<String>, Option<String>) {
        let last = self.upstream.last();
        let value = |name| last.value(name).map(str::to_owned);
        (value("x-auth-issuer"), value("x-auth-subject"), value("x-auth-roles"))
    }
}

fn told(issuer: &str, roles: &str) -> (Option<String>, Option<String>, Option<String>) {
    (Some(issuer.into()), Some("alice".into()), Some(roles.into()))
}

fn cookie(session: &Value) -> String {
    session["cookie"].as_str().expect("a cookie").to_owned()
}

fn signed(id: &str, secret: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), id.as_bytes());
    format!("connect.sid=s:{id}.{}", STANDARD_NO_PAD.encode(tag))
}

/// 26 characters: enough for each layout.
const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAA";

fn known_to_the_upstream(world: &World, session: &Value, roles: &str) {
    world.keep(session);
    let layout = world.portcullis_layout();
    let cookie = cookie(session);
    for target in ["/app", "/optional", "/editors"] {
        assert_eq!(world.get(target, &cookie), 200, "{target}");
        assert_eq!(world.told(), told(&layout, roles), "{target}");
        // The application needs its cookie; it stays byte for byte.
        assert_eq!(world.upstream.last().value("cookie"), Some(format!("theme=dark; {cookie}").as_str()));
    }
    let said = world.upstream.last().value("x-auth-session").expect("a public id").to_owned();
    let key = session["key"].as_str().unwrap();
    assert!(session_secret::is_application_id(&said) && !key.contains(&said), "{said} of {key}");
    assert_eq!(world.get("/public", &cookie), 200);
    assert!(world.upstream.last().head.contains(&cookie));
    assert_eq!(world.told().1, None);
}

impl World {
    fn portcullis_layout(&self) -> String {
        let keys: Vec<String> = self.redis.command(&["KEYS", "*"]);
        let layout = |key: &String| match key {
            key if key.starts_with("sess:") => Some("connect-redis"),
            key if key.starts_with("spring:") => Some("spring"),
            key if key.starts_with("PHPREDIS") => Some("php"),
            key if key.starts_with("app:s:") => Some("json"),
            _ => None,
        };
        keys.iter().find_map(layout).expect("a session").to_owned()
    }
}

#[test]
fn a_session_of_express_becomes_an_identity() {
    let world = World::start(EXPRESS);
    known_to_the_upstream(&world, &fixture!("connect-redis", "max-age"), "editor,reader");
    assert_eq!(world.upstream.received().len(), 4);
}

#[test]
fn a_session_of_php_becomes_an_identity() {
    let world = World::start(PHP);
    known_to_the_upstream(&world, &fixture!("php", "php"), "editor,reader");
    let long = fixture!("php", "long-id");
    assert!(cookie(&long).contains("%2C"), "an id with a comma");
    world.keep(&long);
    assert_eq!(world.get("/app", &cookie(&long)), 200);
}

#[test]
fn a_session_of_php_serialize_becomes_an_identity() {
    let world = World::start(&PHP.replace("subject =", "handler = \"php_serialize\", subject ="));
    known_to_the_upstream(&world, &fixture!("php", "php_serialize"), "editor,reader");
}

#[test]
fn a_session_of_spring_becomes_an_identity() {
    let context = "/SPRING_SECURITY_CONTEXT/authentication";
    let world = World::start(&format!(
        "[session]\nlayout = \"spring\"\nforeign = {{ subject = \"{context}/principal/username\", roles = \"{context}/authorities\" }}\n"
    ));
    let mut session = fixture!("spring", "security");
    session["fields"]["lastAccessedTime"] = json!(world.clock.now().0.to_string());
    world.keep(&session);
    assert_eq!(world.get("/app", &cookie(&session)), 200);
    assert_eq!(world.told(), told("spring", "ROLE_EDITOR,ROLE_READER"));
    // Unused for half an hour it has ended, though Redis still has it.
    world.pass(Duration::from_secs(1800));
    assert_eq!(world.get("/app", &cookie(&session)), 401);
    // And one that was invalidated stays for a while with an interval of zero.
    let mut ended = fixture!("spring", "invalidated");
    ended["fields"]["lastAccessedTime"] = json!(world.clock.now().0.to_string());
    world.keep(&ended);
    assert_eq!(world.get("/app", &cookie(&ended)), 401);
    assert_eq!(world.upstream.received().len(), 1);
}

#[test]
fn a_session_in_json_becomes_an_identity_until_it_says_that_it_ends() {
    let world = World::start(JSON);
    let ends = world.clock.now().after(Duration::from_secs(3)).0;
    let record = json!({ "sub": "alice", "roles": ["reader", "editor"], "ends": ends });
    let session = json!({ "key": format!("app:s:{ID}"), "cookie": format!("sid={ID}"), "value": record.to_string() });
    known_to_the_upstream(&world, &session, "editor,reader");
    world.pass(Duration::from_secs(3));
    assert_eq!(world.get("/app", &cookie(&session)), 401);
}

#[test]
fn a_logout_in_the_application_counts_after_a_second_at_most() {
    let world = World::start(EXPRESS);
    let session = fixture!("connect-redis", "plain");
    world.keep(&session);
    assert_eq!(world.get("/app", &cookie(&session)), 200);
    let _: i64 = world.redis.command(&["DEL", session["key"].as_str().unwrap()]);
    world.pass(Duration::from_millis(999));
    assert_eq!(world.get("/app", &cookie(&session)), 200, "the documented second");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.get("/app", &cookie(&session)), 401);
    assert_eq!(world.get("/optional", &cookie(&session)), 200);
    assert_eq!(world.told(), (None, None, None));
}

#[test]
fn whoever_logs_in_is_known_at_once_and_who_is_not_logged_in_is_nobody() {
    let world = World::start(PHP);
    let (nobody, empty) = (fixture!("php", "nobody"), fixture!("php", "empty"));
    for session in [&nobody, &empty] {
        world.keep(session);
        assert_eq!(world.get("/app", &cookie(session)), 401);
        assert_eq!(world.get("/optional", &cookie(session)), 200);
        assert_eq!(world.told(), (None, None, None));
    }
    // PHP keeps the id unless the application asks for another.
    let mut session = fixture!("php", "php");
    session["key"] = nobody["key"].clone();
    world.keep(&session);
    assert_eq!(world.get("/app", &cookie(&nobody)), 200, "the same instant");
    assert_eq!(world.told(), told("php", "editor,reader"));
}

#[test]
fn nothing_is_ever_written_to_a_session() {
    let world = World::start(EXPRESS);
    let session = fixture!("connect-redis", "max-age");
    world.keep(&session);
    let key = session["key"].as_str().unwrap();
    let expires: i64 = world.redis.command(&["PEXPIRETIME", key]);
    for _ in 0..5 {
        assert_eq!(world.get("/app", &cookie(&session)), 200);
        world.pass(Duration::from_secs(61));
    }
    let (value, after): (String, i64) =
        (world.redis.command(&["GET", key]), world.redis.command(&["PEXPIRETIME", key]));
    assert_eq!((value.as_str(), after), (session["value"].as_str().unwrap(), expires));
    let keys: Vec<String> = world.redis.command(&["KEYS", "*"]);
    assert!(keys.iter().all(|k| k == key || k.starts_with("pc:")), "{keys:?}");
}

#[test]
fn a_secret_that_was_rotated_out_counts_no_longer() {
    let world = World::start(&EXPRESS.replace(", { file = \"secret\" }", ""));
    let session = fixture!("connect-redis", "plain");
    world.keep(&session);
    assert_eq!(world.get("/app", &cookie(&session)), 401);
}

#[test]
fn the_application_sets_its_own_cookie_and_ours_is_nothing() {
    let set = "HTTP/1.1 200 OK\r\nSet-Cookie: connect.sid=new; Path=/\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n";
    let world = World::with(EXPRESS, Upstream::answering(move |_| set.as_bytes().to_vec()));
    let session = fixture!("connect-redis", "plain");
    world.keep(&session);
    for (target, headers) in [("/app", format!("Cookie: {}\r\n", cookie(&session))), ("/public", String::new())] {
        let answer = get(world.portcullis.address(), target, &headers);
        assert_eq!((answer.status, answer.values("set-cookie")), (200, vec!["connect.sid=new; Path=/", "b=2"]));
    }
    // Portcullis makes no session in such a place, and lists none of the application's.
    let made = operate(&world.portcullis, "POST", "/v1/sessions", &json!({ "subject": "alice" }));
    assert_eq!(made.status, 400, "{}", made.body);
    let listed = operate(&world.portcullis, "GET", "/v1/sessions", &Value::Null);
    assert!(listed.status == 200 && !listed.body.contains("alice"), "{}", listed.body);
}

#[test]
fn f42_what_the_revocation_log_has_counts_at_once() {
    let world = World::start(EXPRESS);
    let [one, other, later] = ["plain", "max-age", "rotated"].map(|name| fixture!("connect-redis", name));
    let append = |what| {
        let entry = LogEntry { what, until: world.clock.now().after(Duration::from_secs(3600)) };
        block_on(world.redis.store().log.append(&entry)).expect("it is in the log");
    };
    for session in [&one, &other] {
        world.keep(session);
        assert_eq!(world.get("/app", &cookie(session)), 200);
    }
    assert_eq!(world.get("/app", &cookie(&one)), 200);
    let id = world.upstream.last().value("x-auth-session").expect("a public id").into();
    append(Revocation::Session { id });
    until("the session is revoked", || world.get("/app", &cookie(&one)) == 401);
    assert_eq!(world.get("/app", &cookie(&other)), 200, "and no other");
    // A subject of the application is not the one of that name that Portcullis keeps.
    let before = world.clock.now();
    for issuer in ["portcullis", "connect-redis"] {
        assert_eq!(world.get("/app", &cookie(&other)), 200, "before {issuer}");
        append(Revocation::PrincipalBefore { principal: Principal::new(issuer, "alice"), before });
    }
    until("all of the principal's are revoked", || world.get("/app", &cookie(&other)) == 401);
    // It does not say when it began, so it may have begun before.
    world.keep(&later);
    assert_eq!(world.get("/app", &signed(later["key"].as_str().unwrap().trim_start_matches("sess:"), SECRET)), 401);
}

#[test]
fn an_operator_ends_one_session_by_its_public_id() {
    let world = World::start(EXPRESS);
    let [one, other] = ["plain", "max-age"].map(|name| fixture!("connect-redis", name));
    for session in [&other, &one] {
        world.keep(session);
        assert_eq!(world.get("/app", &cookie(session)), 200);
    }
    let id = world.upstream.last().value("x-auth-session").expect("a public id").to_owned();
    let answer = operate(&world.portcullis, "DELETE", &format!("/v1/sessions/{id}"), &Value::Null);
    assert_eq!((answer.status, answer.json()["id"].as_str()), (200, Some(&*id)), "{}", answer.body);
    assert_eq!((world.get("/app", &cookie(&one)), world.get("/app", &cookie(&other))), (401, 200));
    // What is in the cookie is the secret, and no id.
    let secret = one["key"].as_str().expect("a key").trim_start_matches("sess:");
    let answer = operate(&world.portcullis, "DELETE", &format!("/v1/sessions/{secret}"), &Value::Null);
    assert_eq!(answer.status, 400, "{}", answer.body);
}

#[test]
fn when_redis_is_gone_nobody_is_let_in_by_guess() {
    let mut world = World::start(EXPRESS);
    let session = fixture!("connect-redis", "plain");
    world.keep(&session);
    world.redis.kill();
    until("the outage is noticed", || world.get("/app", &cookie(&session)) == 503);
    assert_eq!(world.get("/optional", &cookie(&session)), 503, "not anonymous either");
    assert_eq!(world.get("/app", &signed("0123456789abcdef0123", "wrong")), 401);
    assert!(world.upstream.received().is_empty());
}

#[test]
fn all_of_a_subject_of_the_application_is_revoked_and_what_begins_later_is_not() {
    let world = World::start(&JSON.replace("expires = \"ends\"", "issued_at = \"began\""));
    let mut ids = ["BBBBBBBBBBBBBBBBBBBBBBBBBB", "CCCCCCCCCCCCCCCCCCCCCCCCCC"].into_iter();
    let mut begun = |subject: &str| {
        let id = ids.next().unwrap_or(ID);
        let value = json!({ "sub": subject, "roles": "editor", "began": world.clock.now().0 }).to_string();
        world.raw(&[b"SET", format!("app:s:{id}").as_bytes(), value.as_bytes()]);
        format!("sid={id}")
    };
    let (old, other) = (begun("alice"), begun("bob"));
    assert_eq!((world.get("/app", &old), world.get("/app", &other)), (200, 200));
    world.pass(Duration::from_secs(5));
    let order = json!({ "kind": "subject", "issuer": "json", "subject": "alice", "for_seconds": 7200 });
    let answer = operate(&world.portcullis, "POST", "/v1/revocations", &order);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((world.get("/app", &old), world.get("/app", &other)), (401, 200));
    // Far beyond what this machine's own clock, which Redis goes by, has passed meanwhile.
    world.pass(Duration::from_secs(3600));
    let new = begun("alice");
    assert_eq!((world.get("/app", &new), world.get("/app", &old)), (200, 401));
}
