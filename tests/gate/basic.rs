//! User names and passwords, from files that the real `htpasswd` has written.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::model::{Clock, LogEntry, Principal, Revocation, SystemClock};

use super::{preamble, until};
use crate::harness::http::{Answer, get, send};
use crate::harness::portcullis::{Portcullis, Setup, block_on};
use crate::harness::process::{folder, run};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

/// `htpasswd -b ARGUMENTS htpasswd USER PASSWORD` in a folder.
fn htpasswd(folder: &Path, arguments: &[&str], user: &str, password: &str) {
    let mut command = Command::new("htpasswd");
    let command = command.current_dir(folder).arg("-b").args(arguments).args(["htpasswd", user, password]);
    let output = command.output().expect("htpasswd of apache2-utils");
    assert!(output.status.success(), "{output:?}");
}

/// Users `alice` and `bob` with their names as passwords, but for the end.
fn users(folder: &Path) {
    htpasswd(folder, &["-c", "-B", "-C", "4"], "alice", "alice's password");
    htpasswd(folder, &["-B", "-C", "4"], "bob", "bob's password");
    std::fs::write(folder.join("groups"), "staff: alice bob\nadmins: alice\n").unwrap();
}

fn login(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

fn alice() -> String {
    login("alice", "alice's password")
}

const BASIC: &str = "[basic]\nfile = \"htpasswd\"\ngroup_file = \"groups\"\nrealm = \"The Works\"\nroles = [\"reader\"]\nscopes = [\"read\"]\n";

fn routes(upstream: &Upstream) -> String {
    format!(
        r#"
        [route]
        app = {{ match = "/{{*rest}}", accept = "basic", upstream = "{up}" }}
        kept = {{ match = "/kept", accept = "basic", forward_credentials = true, upstream = "{up}" }}
        open = {{ match = "/open", accept = ["basic", "anyone"], upstream = "{up}" }}
        key = {{ match = "/key", accept = ["api_key", "anyone"], upstream = "{up}" }}
        both = {{ match = "/both", accept = ["basic", "api_key", "session"], upstream = "{up}" }}
        guarded = {{ match = "/guarded", accept = ["basic", "anyone"], limits = "failures", upstream = "{up}" }}
        [limit.failures]
        rate = "3/h"
        stage = "failed_authentication"
        "#,
        up = upstream.url()
    )
}

fn start(upstream: &Upstream) -> Portcullis {
    let setup = Setup::new();
    users(setup.folder());
    setup.start(&format!("{BASIC}{}", routes(upstream)))
}

fn status(portcullis: &Portcullis, path: &str, line: &str) -> u16 {
    get(portcullis.address(), path, line).status
}

#[test]
fn a_password_proves_a_user_and_goes_no_further() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    for _ in 0..3 {
        assert_eq!(status(&portcullis, "/x", &alice()), 200);
    }
    let seen = upstream.last();
    assert_eq!(seen.value("x-auth-subject"), Some("alice"));
    assert_eq!(seen.value("x-auth-issuer"), Some("basic"));
    assert_eq!(seen.value("x-auth-method"), Some("basic"));
    assert_eq!(seen.value("x-auth-groups"), Some("admins,staff"));
    assert_eq!(seen.value("x-auth-roles"), Some("reader"));
    assert_eq!(seen.value("x-auth-scopes"), Some("read"));
    assert_eq!(seen.value("authorization"), None);
    assert_eq!(status(&portcullis, "/x", &login("bob", "bob's password")), 200);
    assert_eq!(upstream.last().value("x-auth-groups"), Some("staff"));
    assert_eq!(status(&portcullis, "/kept", &alice()), 200);
    assert!(upstream.last().value("authorization").is_some(), "unless the route says so");
    // Hashed once, found afterwards.
    let metrics = get(portcullis.health(), "/metrics", "").body;
    let series = |cached: &str| {
        let name = format!("portcullis_credentials_total{{kind=\"basic\",cached=\"{cached}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&*name).map(str::to_owned))
    };
    assert_eq!((series("false").as_deref(), series("true").as_deref()), (Some("2"), Some("3")));
}

#[test]
fn f38_a_wrong_password_or_user_is_challenged_and_nobody_becomes_anonymous() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let challenged = |answer: &Answer| {
        assert_eq!(answer.value("www-authenticate"), Some("Basic realm=\"The Works\", charset=\"UTF-8\""));
        answer.status
    };
    assert_eq!(challenged(&get(portcullis.address(), "/x", "")), 401);
    let long = login("alice", &"x".repeat(1000));
    let mut bodies = Vec::new();
    for line in [
        login("alice", "wrong"),
        login("alice", ""),
        login("Alice", "alice's password"),
        login("carol", "alice's password"),
        login("bob", "alice's password"),
        login("", ""),
        login("alice", "alice's password\0"),
        "Authorization: Basic YWxpY2U\r\n".to_owned(),
        "Authorization: Basic !\r\n".to_owned(),
        "Authorization: Basic\r\n".to_owned(),
        long,
    ] {
        // Twice: refused, and refused as known to be wrong.
        for path in ["/x", "/open", "/x"] {
            let answer = get(portcullis.address(), path, &line);
            assert_eq!(challenged(&answer), 401, "{path} {line}");
            bodies.push(answer.json()["type"].clone());
        }
    }
    assert!(bodies.iter().all(|kind| *kind == bodies[0]), "nothing tells an unknown user from a wrong password");
    assert_eq!(status(&portcullis, "/open", ""), 200);
    assert_eq!(status(&portcullis, "/x", &format!("{}{}", alice(), alice())), 400);
    assert_eq!(status(&portcullis, "/both", &format!("{}X-Api-Key: pc_test_a_b\r\n", alice())), 400);
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn where_it_is_not_accepted_it_is_the_applications() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    for line in [alice(), login("app's", "own"), "Authorization: Basic what ever\r\n".to_owned()] {
        assert_eq!(status(&portcullis, "/key", &line), 200);
        let seen = upstream.last();
        assert_eq!(seen.value("authorization").map(|value| format!("Authorization: {value}\r\n")), Some(line));
        assert_eq!(seen.value("x-auth-subject"), None);
    }
}

#[test]
fn guesses_are_counted_and_then_not_even_looked_at() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    assert_eq!(status(&portcullis, "/guarded", &alice()), 200);
    for guess in ["1", "1", "2"] {
        assert_eq!(status(&portcullis, "/guarded", &login("alice", guess)), 401);
    }
    assert_eq!(status(&portcullis, "/guarded", &login("alice", "3")), 429);
    assert_eq!(status(&portcullis, "/guarded", &alice()), 429, "not even the right one");
    assert_eq!(status(&portcullis, "/guarded", ""), 200, "nothing presented is no guess");
}

#[test]
fn guesses_that_arrive_together_are_told_no_more_than_those_that_come_one_by_one() {
    const GUESSES: usize = 16;
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let told = std::thread::scope(|scope| {
        let all: Vec<_> = (0..GUESSES)
            .map(|guess| {
                let portcullis = &portcullis;
                scope.spawn(move || status(portcullis, "/guarded", &login("alice", &format!("guess {guess}"))))
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|status| *status == 401).count()
    });
    assert_eq!(told, 3, "the limit's");
}

#[test]
fn other_sites_cannot_use_a_remembered_password() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let post = |headers: &str| {
        let to = portcullis.address();
        let head = format!("POST /x HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: 0\r\n");
        send(to, format!("{head}{}{headers}\r\n", alice())).status
    };
    assert_eq!(post("Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n"), 403);
    assert_eq!(post("Sec-Fetch-Site: cross-site\r\n"), 403);
    assert_eq!(post("Sec-Fetch-Site: same-origin\r\n"), 200);
    assert_eq!(post(""), 200, "no browser");
}

#[test]
fn f37_a_user_is_locked_out_at_once() {
    let (redis, upstream) = (Redis::start(), Upstream::start());
    let store = redis.store();
    let setup = Setup::new();
    users(setup.folder());
    let routes =
        format!("[route]\napp = {{ match = \"/{{*rest}}\", accept = \"basic\", upstream = \"{}\" }}", upstream.url());
    let basic = BASIC.replace("[\"reader\"]", "[\"reader\", \"nobody\"]");
    let portcullis = setup.try_start(&format!("{}{basic}{routes}", preamble(&redis.url()))).unwrap();
    let revoke = |what| {
        let until = SystemClock.now().after(Duration::from_secs(700));
        block_on(store.log.append(&LogEntry { what, until })).unwrap();
    };
    let bob = login("bob", "bob's password");
    assert_eq!((status(&portcullis, "/", &alice()), status(&portcullis, "/", &bob)), (200, 200));
    revoke(Revocation::Token { issuer: "basic".into(), id: "basic:alice".into() });
    until("alice is refused", || status(&portcullis, "/", &alice()) == 401);
    assert_eq!(status(&portcullis, "/", &bob), 200);
    revoke(Revocation::PrincipalBefore { principal: Principal::new("basic", "bob"), before: SystemClock.now() });
    until("bob is refused", || status(&portcullis, "/", &bob) == 401);
}

#[test]
fn a_file_with_weak_hashes_is_refused_with_its_place_and_what_would_help() {
    let (_guard, here) = folder(&format!(
        "listener.main.bind = \"127.0.0.1:0\"\n{}[route]\napp = {{ match = \"/\", accept = \"basic\", upstream = \"http://127.0.0.1:1\" }}\n",
        "[basic]\nfile = \"htpasswd\"\n",
    ));
    for (arguments, said) in [
        (&["-m"][..], "an MD5 hash (apr1)"),
        (&["-s"], "a SHA-1 hash without salt"),
        (&["-d"], "clear text or an old crypt hash"),
        (&["-p"], "clear text or an old crypt hash"),
        (&["-B", "-C", "15"], "a bcrypt hash of cost 15"),
    ] {
        htpasswd(&here, &["-c", "-B", "-C", "4"], "alice", "pass-1");
        htpasswd(&here, arguments, "bob", "canary-2");
        for verb in ["check", "run"] {
            let ended = run(&here, &[verb, "--config", "portcullis.toml"]);
            assert!(!ended.stderr.contains("canary-2"), "{}", ended.stderr);
            ended.failed(2, &[said, "htpasswd:2", "htpasswd -B -C 12", "bob"]);
        }
    }
    htpasswd(&here, &["-c", "-B", "-C", "10"], "alice", "pass-1");
    run(&here, &["check", "--config", "portcullis.toml"]).ok();
}
