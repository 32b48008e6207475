//! Upgrades that come to nothing: the process serves on, and says why.

use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use super::reload_process::{configuration, serving};
use super::upgrade::{Successor, pid_of};
use crate::harness::http::{Wire, get};
use crate::harness::process::{Serving, folder, run};
use crate::harness::upstream::Upstream;

fn write(here: &Path, text: &str) {
    std::fs::write(here.join("portcullis.toml"), text).expect("a file can be written");
}

#[track_caller]
fn failed(serving: &Serving, count: usize) {
    let metrics = get(serving.health(), "/metrics", "").body;
    assert!(metrics.contains(&format!("portcullis_upgrades_total{{outcome=\"failed\"}} {count}\n")), "{metrics}");
}

#[test]
fn a_configuration_that_is_bad_leaves_the_old_process_as_it_was() {
    let upstream = Upstream::start();
    let (_guard, here, _, mut serving) = serving(&upstream);
    let good = configuration(&upstream, 0);
    write(&here, &good.replace("accept = \"anyone\"", "acept = \"anyone\""));
    serving.signal(Signal::USR2);
    let first = Successor::of(&serving, 0);
    serving.says("upgrade failed; this process serves on");
    serving.says("did you mean `accept`?");
    assert!(!first.lives());
    failed(&serving, 1);

    // All is well until it has the sockets: the certificate is read after.
    write(&here, &good.replace("\"server.pem\"", "\"missing.pem\""));
    serving.signal(Signal::USR2);
    let second = Successor::of(&serving, 1);
    serving.says_after("upgrade failed; this process serves on", 1);
    serving.says("missing.pem");
    assert!(!second.lives());
    // After it has taken the sockets over, a port of its own cannot be had.
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let bind = format!("health.bind = \"{}\"", occupied.local_addr().expect("an address"));
    write(&here, &good.replace("health.bind = \"127.0.0.1:0\"", &bind));
    serving.signal(Signal::USR2);
    let third = Successor::of(&serving, 2);
    serving.says_after("upgrade failed; this process serves on", 2);
    serving.says("another process listens there");
    assert!(!third.lives());
    failed(&serving, 3);
    assert_eq!(get(serving.address("clear"), "/load", "").status, 200);
    assert_eq!(pid_of(&here.join("admin.sock")), serving.id());

    write(&here, &good);
    serving.signal(Signal::USR2);
    let successor = Successor::of(&serving, 3);
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
    assert_eq!(get(serving.address("clear"), "/load", "").status, 200);
    assert_eq!(pid_of(&here.join("admin.sock")), successor.id());
}

#[test]
fn a_process_that_is_not_ready_accepts_nothing_and_ends_with_the_old_one() {
    let upstream = Upstream::start();
    let (_guard, here, _, mut serving) = serving(&upstream);
    // Nobody is there, so it waits.
    let text = format!("store.url = \"redis://127.0.0.1:1\"\n{}", configuration(&upstream, 0));
    write(&here, &text);
    serving.signal(Signal::USR2);
    let successor = Successor::of(&serving, 0);
    serving.says("not ready");
    for _ in 0..100 {
        assert_eq!(get(serving.address("clear"), "/load", "").status, 200);
        assert_eq!(get(serving.health(), "/readyz", "").status, 200);
    }
    assert_eq!(pid_of(&here.join("admin.sock")), serving.id());
    serving.signal(Signal::USR2);
    serving.says("an upgrade is under way already");
    assert!(successor.lives());
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
    assert!(!successor.lives());
    assert_eq!(serving.log().matches("upgrade: a new process is started").count(), 1);
    assert!(!here.join("admin.sock").exists());
}

#[test]
fn a_new_process_that_dies_takes_nothing_with_it() {
    let upstream = Upstream::start();
    let (_guard, here, _, serving) = serving(&upstream);
    let text = format!("store.url = \"redis://127.0.0.1:1\"\n{}", configuration(&upstream, 0));
    write(&here, &text);
    for (count, (signal, why)) in [(Signal::KILL, "signal: 9"), (Signal::TERM, "exit status: 1")].iter().enumerate() {
        serving.signal(Signal::USR2);
        let successor = Successor::of(&serving, count);
        serving.says_after("not ready reasons", count);
        successor.signal(*signal);
        serving.says_after("upgrade failed; this process serves on", count);
        serving.says(why);
        assert_eq!(get(serving.address("clear"), "/load", "").status, 200);
        assert_eq!(pid_of(&here.join("admin.sock")), serving.id());
        failed(&serving, count + 1);
    }
}

#[test]
fn what_is_revoked_in_memory_is_not_forgotten_by_an_upgrade() {
    let upstream = Upstream::start();
    let (_guard, here, _, serving) = serving(&upstream);
    // With an issuer, whose tokens can be revoked.
    write(&here, &configuration(&upstream, 3));
    run(&here, &["reload"]).ok();
    let body = json!({"kind": "token_id", "issuer": "main", "id": "one"}).to_string();
    let mut admin = Wire::over(UnixStream::connect(here.join("admin.sock")).expect("the admin socket"));
    let head = "Host: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let answer =
        admin.exchange(format!("POST /v1/revocations HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(answer.status, 200, "{}", answer.body);
    serving.signal(Signal::USR2);
    serving.says("would not know of 1 revocations");
    assert_eq!(get(serving.address("clear"), "/load", "").status, 200);
    failed(&serving, 1);
}

#[test]
fn a_file_is_not_written_by_two_processes() {
    let upstream = Upstream::start();
    let text = format!(
        "store.url = \"memory:store.json\"\nlistener.main.bind = \"127.0.0.1:0\"\nhealth.bind = \"127.0.0.1:0\"\n\
         [route.all]\nmatch = \"/\"\naccept = \"anyone\"\nupstream = \"{}\"\n",
        upstream.url()
    );
    let (_guard, here) = folder(&text);
    let serving = Serving::run(&here).ready();
    serving.signal(Signal::USR2);
    serving.says("which two processes cannot use at a time");
    assert_eq!(get(serving.address("main"), "/", "").status, 200);
    failed(&serving, 1);
}
