//! What somebody could present or write who is nobody's user, and what of all that is logged.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::gate::preamble;
use crate::harness::process::{Serving, folder};

#[test]
fn f38_f39_only_what_the_application_has_signed_counts() {
    let world = World::start(EXPRESS);
    let session = fixture!("connect-redis", "plain");
    world.keep(&session);
    let good = cookie(&session);
    let (value, signature) = good.rsplit_once('.').unwrap();
    let id = session["key"].as_str().unwrap().strip_prefix("sess:").unwrap();
    let calls = || -> String { world.redis.command(&["INFO", "commandstats"]) };
    let reads = || calls().lines().find(|line| line.starts_with("cmdstat_pttl:")).map(str::to_owned);
    let before = reads();
    for wrong in [
        format!("{value}.{}", signature.chars().rev().collect::<String>()),
        format!("{}.{signature}", value.replace("s%3A", "s%3AA")),
        value.to_owned(),
        format!("{value}."),
        format!("connect.sid={id}"),
        format!("connect.sid=s%3A{id}"),
        signed(id, "another secret"),
        signed(id, ""),
        "connect.sid=".to_owned(),
        "connect.sid=random-and-not-a-session-of-anybody".to_owned(),
    ] {
        assert_eq!(world.get("/app", &wrong), 401, "{wrong}");
        assert_eq!(world.get("/optional", &wrong), 200, "{wrong}");
        assert_eq!(world.told(), (None, None, None));
    }
    assert_eq!(reads(), before, "Redis is not asked for what is not signed");
    assert_eq!(world.get("/app", &good), 200);
    assert_ne!(reads(), before);
    // The old secret counts beside the new one.
    assert_eq!(world.get("/app", &signed(id, SECRET)), 200);
    assert_eq!(world.get("/app", &signed(id, "a newer secret of the application")), 200);
}

#[test]
fn f38_an_id_leads_to_a_session_and_nowhere_else() {
    let world = World::start(JSON);
    let admin = json!({ "sub": "root", "roles": ["editor"], "ends": "2099-01-01T00:00:00Z" }).to_string();
    // Records that are no sessions, where an id that was not looked at could lead.
    for key in ["app:s:", "app:s:../admin:0123456789abcdef", "app:s:0123456789abcdef:admin", "app:s:short", "app:s:*"] {
        world.raw(&[b"SET", key.as_bytes(), admin.as_bytes()]);
    }
    for id in [
        "",
        "short",
        "*",
        "../admin:0123456789abcdef",
        "0123456789abcdef:admin",
        "..%2Fadmin%3A0123456789abcdef",
        "0123456789abcdef%3Aadmin",
        "0123456789abcdef\\r\\nDEL",
        "0123456789abcdefghijklmn*",
        "????????????????????????????",
        &"a".repeat(129),
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
    ] {
        assert_eq!(world.get("/app", &format!("sid={id}")), 401, "{id}");
    }
    assert!(world.upstream.received().is_empty());
}

#[test]
fn f41_a_session_cookie_that_stands_twice_is_refused() {
    let world = World::start(PHP);
    let session = fixture!("php", "php");
    world.keep(&session);
    let cookie = cookie(&session);
    assert_eq!(world.get("/app", &format!("{cookie}; {cookie}")), 400);
    assert_eq!(world.get("/app", &format!("PHPSESSID={ID}; {cookie}")), 400);
    // PHP reads these names as the same one.
    for alias in ["PHPSESSI%44", "%50HPSESSID", "PHPSESSID[x]"] {
        assert_eq!(world.get("/app", &format!("{alias}={ID}; {cookie}")), 400, "{alias}");
        assert_eq!(world.get("/app", &format!("{alias}={ID}")), 400, "{alias}");
    }
    assert!(world.upstream.received().is_empty());
    assert_eq!(world.get("/app", &format!("XPHPSESSID={ID}; phpsessid=1; a%20b=1; {cookie}")), 200);
}

#[test]
fn f61_what_no_framework_writes_is_no_session() {
    let world = World::start(JSON);
    let long = format!("{{\"sub\":\"alice\",\"ends\":9e9,\"x\":\"{}\"}}", "a".repeat(64 * 1024));
    let deep = format!("{{\"sub\":\"alice\",\"ends\":9e9,\"x\":{}{}}}", "[".repeat(60), "]".repeat(60));
    let endless = format!("{{\"sub\":\"alice\",\"x\":{}", "[".repeat(60_000));
    let key = format!("app:s:{ID}");
    for value in [
        "",
        "alice",
        "null",
        "{",
        "[\"alice\"]",
        "{\"sub\":\"alice\"}",
        "{\"sub\":\"alice\",\"ends\":null}",
        "{\"sub\":\"alice\",\"sub\":\"root\",\"ends\":9e9}",
        "{\"sub\":{\"$ne\":null},\"ends\":9e9}",
        "{\"sub\":\"alice\\nx-auth-subject: root\",\"ends\":9e9}",
        "{\"sub\":\"alice\",\"roles\":{\"0\":\"editor\"},\"ends\":9e9}",
        "O:8:\"stdClass\":0:{}",
        "\u{feff}{\"sub\":\"alice\",\"ends\":9e9}",
        &long,
        &deep,
        &endless,
    ] {
        world.raw(&[b"SET", key.as_bytes(), value.as_bytes()]);
        assert_eq!(world.get("/app", &format!("sid={ID}")), 401, "{:.60}", value);
        assert_eq!(world.get("/optional", &format!("sid={ID}")), 200, "{:.60}", value);
        assert_eq!(world.told(), (None, None, None));
        world.pass(Duration::from_secs(2));
    }
    let received = world.upstream.received().len();
    world.raw(&[b"DEL", key.as_bytes()]);
    world.raw(&[b"LPUSH", key.as_bytes(), b"{\"sub\":\"alice\",\"ends\":9e9}"]);
    assert_eq!(world.get("/app", &format!("sid={ID}")), 401, "of another type");
    assert_eq!(world.upstream.received().len(), received);
    world.pass(Duration::from_secs(2));
    world.raw(&[b"DEL", key.as_bytes()]);
    world.raw(&[b"SET", key.as_bytes(), b"{\"sub\":\"alice\",\"ends\":9e9}"]);
    assert_eq!(world.get("/app", &format!("sid={ID}")), 200);
}

#[test]
fn f26_no_bytes_in_redis_are_more_than_no_session() {
    let world = World::start(PHP);
    let key = format!("PHPREDIS_SESSION:{ID}");
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "user\\|([Nbidsa]:?[0-9]{0,4}[:;]?[\"{}]?){0,12}".prop_map(String::into_bytes),
    ];
    let outcome = runner.run(&bytes, |bytes| {
        world.raw(&[b"SET", key.as_bytes(), &bytes]);
        world.pass(Duration::from_secs(3));
        prop_assert_eq!(world.get("/app", &format!("PHPSESSID={ID}")), 401);
        Ok(())
    });
    outcome.unwrap_or_else(|problem| panic!("{problem}"));
    world.keep(&json!({ "key": key, "value": "user|a:1:{s:2:\"id\";s:5:\"alice\";}" }));
    world.pass(Duration::from_secs(3));
    assert_eq!(world.get("/app", &format!("PHPSESSID={ID}")), 200);
}

#[test]
fn objects_of_php_are_refused_whatever_else_the_session_says() {
    let world = World::start(PHP);
    for name in ["object", "enum", "reference", "php_serialize", "php_binary"] {
        let session = fixture!("php", name);
        world.keep(&session);
        assert_eq!(world.get("/app", &cookie(&session)), 401, "{name}");
    }
    assert!(world.upstream.received().is_empty());
}

#[test]
fn f49_neither_ids_nor_secrets_of_the_application_are_logged() {
    let (redis, upstream) = (Redis::start(), Upstream::start());
    let configuration = format!(
        "log = {{ level = \"trace\", format = \"json\" }}\n{}{EXPRESS}[route]\n\
         app = {{ match = \"/app\", accept = \"session\", upstream = \"{url}\" }}\n\
         optional = {{ match = \"/optional\", accept = [\"session\", \"anyone\"], upstream = \"{url}\" }}\n",
        preamble(&redis.url()),
        url = upstream.url(),
    );
    let (folder, _) = folder(&configuration);
    std::fs::write(folder.path().join("newer"), "canary-of-the-application-0123456789").expect("a secret");
    std::fs::write(folder.path().join("secret"), SECRET).expect("a secret");
    let serving = Serving::run(folder.path()).ready();
    let to = serving.address("main");
    let session = fixture!("connect-redis", "plain");
    let id = session["key"].as_str().unwrap().strip_prefix("sess:").unwrap();
    let _: () = redis.command(&["SET", &format!("sess:{id}"), session["value"].as_str().unwrap()]);
    let _: () = redis.command(&["SET", "sess:malformed-malformed-0123", "{\"cookie\":1,\"x\":\"canary-in-a-record\"}"]);
    assert_eq!(get(to, "/app", &format!("Cookie: {}\r\n", cookie(&session))).status, 200);
    let other = signed("malformed-malformed-0123", SECRET);
    for target in ["/app", "/optional"] {
        get(to, target, &format!("Cookie: {other}\r\n"));
        get(to, target, &format!("Cookie: {}\r\n", signed(id, "wrong")));
    }
    serving.says("session_unreadable");
    let log = serving.log();
    assert!(log.contains("cannot be read"), "an operator can see why");
    for secret in [id, "malformed-malformed", SECRET, "canary", "alice@example.com"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[test]
fn a_session_of_the_application_changes_nothing_for_another_site() {
    let world = World::start(EXPRESS);
    let session = fixture!("connect-redis", "plain");
    world.keep(&session);
    for (line, expected) in [
        ("", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Origin: https://evil.example\r\n", 403),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
    ] {
        let headers = format!("Cookie: {}\r\n{line}", cookie(&session));
        assert_eq!(post(world.portcullis.address(), "/app", &headers).status, expected, "{line}");
    }
}
