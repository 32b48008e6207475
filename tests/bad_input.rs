//! What is wrong with configuration, files, surroundings or requests is said clearly, and opens nothing.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis::crypto::Signer;
use portcullis::model::{Clock as _, SystemClock, SystemEntropy};
use serde_json::json;

use crate::harness::certificates::{Authority, curl};
use crate::harness::http::{get, send};
use crate::harness::process::{Serving, folder, portcullis, run};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

/// One open route and one for API keys; an upstream where nobody listens.
const BASE: &str = r#"
listener.main.bind = "127.0.0.1:0"
health.bind = "127.0.0.1:0"
defaults.upstream = "http://127.0.0.1:9"
[route.open]
match = "/open"
accept = "anyone"
[route.keys]
match = "/keys/{*rest}"
accept = "api_key"
"#;

#[test]
fn every_problem_of_a_configuration_is_shown_with_its_place() {
    let configuration = "\
[listener.main]
bind = \"127.0.0.1:0\"
bnd = \"127.0.0.1:1\"
[store]
timeout = \"soon\"
[defaults]
upstream = \"nowhere\"
[route.a]
match = \"/a\"
[route.b]
match = \"/b\"
accept = \"api_kye\"
";
    let (_guard, here) = folder(configuration);
    for verb in [&["run"][..], &["check"]] {
        let ended = run(&here, verb);
        let said = ended.stderr.clone();
        for place in ["portcullis.toml:3:1", "portcullis.toml:5:11", "portcullis.toml:12:10"] {
            assert!(said.contains(place), "`{place}` is not in:\n{said}");
        }
        assert!(said.contains("bnd") && said.contains("soon") && said.contains("api_kye"), "{said}");
        assert!(said.contains("route.a"), "a route without `accept` is not open, it is an error:\n{said}");
        assert!(said.matches('^').count() >= 3, "each place is shown:\n{said}");
        // The last line counts them.
        let count = said.matches("error: ").count().max(said.matches("error:").count());
        assert!(count >= 4, "{said}");
        ended.failed(2, &[" problems"]);
    }
}

#[test]
fn toml_that_cannot_be_read_is_shown_with_its_place() {
    let (_guard, here) = folder("[listener.main]\nbind = \"127.0.0.1:0\nhealth = 1\n");
    run(&here, &["run"]).failed(2, &["portcullis.toml:2:", "^"]);
    let (_guard, here) = folder(BASE);
    std::fs::write(here.join("portcullis.toml"), b"a = \"\xff\xfe\"\n").unwrap();
    run(&here, &["run"]).failed(2, &["portcullis.toml", "UTF-8"]);
    std::fs::write(here.join("portcullis.toml"), "").unwrap();
    run(&here, &["run"]).failed(2, &["listener"]);
}

#[test]
fn a_path_given_to_set_must_exist() {
    let (_guard, here) = folder(BASE);
    run(&here, &["run", "--set", "listener.main.bund=127.0.0.1:0"]).failed(2, &["listener.main.bund", "--set", "bind"]);
    run(&here, &["run", "--set", "lisstener.main.bind=127.0.0.1:0"]).failed(2, &["lisstener", "--set"]);
    run(&here, &["run", "--set", "no value"]).failed(2, &["--set"]);
    run(&here, &["check", "--set", "store.timeout=80ms"]).ok();
}

#[test]
fn without_a_configuration_nothing_runs() {
    let nothing = tempfile::tempdir().unwrap();
    run(nothing.path(), &["run"])
        .failed(2, &["./portcullis.toml", "/etc/portcullis/portcullis.toml", "portcullis init"]);
}

const TLS: &str = "[listener.main.tls]\ncertificates = [{ chain = \"server.pem\", key = \"server.key\" }]\n";

#[test]
fn certificates_that_cannot_be_used_are_refused_by_name() {
    let (_guard, here) = folder(&format!("{BASE}\n{TLS}"));
    let refused = |says: &[&str]| {
        run(&here, &["run"]).failed(2, says);
        run(&here, &["check"]).failed(2, says);
    };
    let mut authority = Authority::new(&here);
    authority.server("server", &["localhost"]);
    authority.server("other", &["localhost"]);
    let chain = std::fs::read(here.join("server.pem")).unwrap();

    std::fs::copy(here.join("other.key"), here.join("server.key")).unwrap();
    refused(&["server.key", "server.pem", "does not belong"]);
    std::fs::remove_file(here.join("server.key")).unwrap();
    refused(&["server.key"]);
    std::fs::write(here.join("server.key"), &chain).unwrap();
    refused(&["server.key", "no private key"]);
    std::fs::write(here.join("server.pem"), "").unwrap();
    refused(&["server.pem"]);
    std::fs::remove_file(here.join("server.pem")).unwrap();
    std::fs::create_dir(here.join("server.pem")).unwrap();
    refused(&["server.pem"]);
}

#[test]
fn a_certificate_that_may_not_be_read_is_refused() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read everything");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let (_guard, here) = folder(&format!("{BASE}\n{TLS}"));
    Authority::new(&here).server("server", &["localhost"]);
    std::fs::set_permissions(here.join("server.key"), PermissionsExt::from_mode(0o000)).unwrap();
    run(&here, &["run"]).failed(2, &["server.key", "ermission denied"]);
}

#[test]
fn an_occupied_port_is_named_and_is_no_fault_of_the_configuration() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let (_guard, here) = folder(BASE);
    for key in ["listener.main.bind", "health.bind"] {
        run(&here, &["run", "--set", &format!("{key}={address}")]).failed(1, &[&address]);
    }
}

/// Waits until `asked` answers true; a test that never sees it fails.
#[track_caller]
fn eventually(what: &str, mut asked: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !asked() {
        assert!(Instant::now() < deadline, "{what}: never");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_redis_that_comes_late_makes_it_ready() {
    let mut redis = Redis::with().prepare();
    let (_guard, here) = folder(&format!("{BASE}\n[store]\nurl = \"{}\"\ntimeout = \"5s\"\n", redis.url()));
    let serving = Serving::run(&here);
    let warned = serving.says("not ready");
    assert!(warned.contains("store") && warned.contains("WARN"), "{warned}");
    let health = serving.health();
    let answer = get(health, "/readyz", "");
    assert_eq!(answer.status, 503);
    assert!(answer.json()["reasons"].to_string().contains("store"), "{}", answer.body);
    run(&here, &["health", "--address", &health.to_string()]).failed(1, &["not ready", "store"]);
    // Public is public; what must be decided is refused.
    let address = serving.address("main");
    assert_eq!(get(address, "/open", "").status, 502);
    let key = portcullis::crypto::api_key::mint("live", &SystemEntropy).text.expose().clone();
    assert_eq!(get(address, "/keys/1", &format!("X-API-Key: {key}\r\n")).status, 503);

    redis.restart();
    let _serving = serving.ready();
    assert_eq!(get(health, "/readyz", "").status, 200);
    assert_eq!(run(&here, &["health", "--address", &health.to_string()]).ok(), "ready\n");
    eventually("the key is unknown", || get(address, "/keys/1", &format!("X-API-Key: {key}\r\n")).status == 401);
}

#[test]
fn a_redis_that_forgets_by_itself_keeps_it_unready_until_it_is_mended() {
    let redis = Redis::with().line("maxmemory 64mb").line("maxmemory-policy allkeys-lru").start();
    let (_guard, here) = folder(&format!("{BASE}\n[store]\nurl = \"{}\"\ntimeout = \"5s\"\n", redis.url()));
    let serving = Serving::run(&here);
    assert!(serving.says("not ready").contains("maxmemory-policy"), "{}", serving.log());
    let answer = get(serving.health(), "/readyz", "");
    assert_eq!(answer.status, 503);
    assert!(answer.json()["reasons"].to_string().contains("allkeys-lru"), "{}", answer.body);
    let _: String = redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let serving = serving.ready();
    assert_eq!(get(serving.health(), "/readyz", "").status, 200);
}

fn issuer(keys: &str) -> String {
    format!(
        "{BASE}\n[issuer.main]\nurl = \"https://id.example.com\"\naudiences = [\"orders\"]\nkeys = {{ {keys} }}\n\
         [route.tokens]\nmatch = \"/tokens\"\naccept = \"jwt\"\n"
    )
}

fn token(signer: &Signer, more: serde_json::Value) -> String {
    let now = SystemClock.now().as_secs();
    let mut claims =
        json!({ "iss": "https://id.example.com", "sub": "alice", "aud": "orders", "iat": now, "exp": now + 600 });
    let all = claims.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    signer.sign("at+jwt", all, &SystemEntropy).unwrap()
}

#[test]
fn a_key_set_in_a_file_that_cannot_be_used_is_refused() {
    let (_guard, here) = folder(&issuer("jwks_file = \"keys.json\""));
    let private = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}]}"#;
    run(&here, &["run"]).failed(2, &["keys.json"]);
    for content in ["", "{\"keys\": [", "[]", "{}", "{\"keys\":[]}", private] {
        std::fs::write(here.join("keys.json"), content).unwrap();
        run(&here, &["run"]).failed(2, &["keys.json"]);
        run(&here, &["check"]).failed(2, &["keys.json"]);
    }
}

#[test]
fn an_issuer_that_cannot_be_reached_costs_its_own_tokens_only() {
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_guard, here) = folder(&issuer(&format!("jwks_url = \"http://{nowhere}/jwks\"")));
    let ended = run(&here, &["check"]);
    if ended.code == Some(2) {
        // Keys in clear text may be refused altogether; then over TLS.
        let text = issuer(&format!("jwks_url = \"https://{nowhere}/jwks\""));
        std::fs::write(here.join("portcullis.toml"), text).unwrap();
    }
    let serving = Serving::run(&here).ready();
    let said = serving.says("keys could not be fetched");
    assert!(said.contains("WARN") && said.contains("main"), "{said}");
    let bearer = format!("Authorization: Bearer {}\r\n", token(&Signer::generate().unwrap(), json!({})));
    let answer = get(serving.address("main"), "/tokens", &bearer);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.value("retry-after").is_some(), "{answer:?}");
    assert_eq!(get(serving.address("main"), "/open", "").status, 502, "the rest goes on");
}

#[test]
fn f61_what_is_too_long_is_refused_before_it_is_read() {
    let upstream = Upstream::start();
    let signer = Signer::generate().unwrap();
    let (_guard, here) = folder(&issuer("jwks_file = \"keys.json\""));
    std::fs::write(here.join("keys.json"), signer.jwks().to_string()).unwrap();
    let over = format!("defaults.upstream={}", upstream.url());
    let arguments = ["run", "--set", &over, "--set", "listener.main.max_header_size=64KiB"];
    let serving = Serving::start(portcullis(&here).args(arguments)).ready();
    let address = serving.address("main");
    let ask = |token: &str| get(address, "/tokens", &format!("Authorization: Bearer {token}\r\n"));

    assert_eq!(ask(&token(&signer, json!({}))).status, 200);
    let long = token(&signer, json!({ "pad": "x".repeat(9 * 1024) }));
    let answer = ask(&long);
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.value("www-authenticate").is_some_and(|value| value.contains("invalid_token")), "{answer:?}");
    serving.says("token_too_large");

    let head = format!("GET /open HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(100 * 1024));
    assert_eq!(send(address, head).status, 431);
    let many: String = (0..500).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(send(address, format!("GET /open HTTP/1.1\r\nHost: a\r\n{many}\r\n")).status, 431);
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn clear_text_on_a_tls_port_is_not_answered_by_the_service() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&format!("{BASE}\n{TLS}"));
    Authority::new(&here).server("server", &["localhost"]);
    let over = format!("defaults.upstream={}", upstream.url());
    let serving = Serving::start(portcullis(&here).args(["run", "--set", &over])).ready();
    let url = format!("http://localhost:{}/open", serving.address("main").port());
    let answer = curl(&here, &[&url]);
    assert!(answer.code != 0 || answer.status() == 400, "{answer:?}");
    assert!(upstream.received().is_empty());
}

#[test]
fn health_asks_the_configured_address() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_guard, here) = folder(&BASE.replace("health.bind = \"127.0.0.1:0\"", &format!("health.bind = \"{free}\"")));
    run(&here, &["health"]).failed(1, &[&free.to_string()]);
    let _serving = Serving::run(&here).ready();
    assert_eq!(run(&here, &["health"]).ok(), "ready\n");
    let (_guard, here) = folder(&BASE.replace("health.bind = \"127.0.0.1:0\"", ""));
    run(&here, &["health"]).failed(2, &["health.bind"]);
    run(Path::new("/"), &["health", "--address", "nowhere"]).failed(2, &["--address"]);
}
