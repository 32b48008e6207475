//! An application with nothing but header login, protected without a change to it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::browser::key_digest;
use super::front::{APP, Front, HOST};
use super::python::{Client, program};
use crate::harness::process::Serving;
use crate::harness::walk::{Started, Walked, blocks, free_port, walk};

const DOCUMENT: &str = include_str!("../../docs/legacy-app.md");

#[test]
fn the_walk_works_as_printed() {
    let started = [Started { program: "radicale", printed: 5232 }, Started { program: "portcullis", printed: 8443 }];
    let path = program("radicale").parent().expect("a folder").to_owned();
    let Walked { stdout, stderr, statuses } = walk(DOCUMENT, &started, &[path]);
    let expected = "207 207 401 401 401 201 201 200 403 403 403 207 207 200 401 200 200";
    assert_eq!(statuses.join(" "), expected, "{stdout}\n{stderr}");
    assert!(stdout.contains("SUMMARY:lunch") && stdout.contains("Radicale Web Interface"), "{stdout}");

    assert!(!stdout.contains("forged"), "{stdout}");

    let install = blocks(DOCUMENT).into_iter().find(|block| block.kind == "sh").expect("how to install it").text;
    let version = include_str!("requirements.txt").lines().find(|line| line.starts_with("Radicale==")).unwrap();
    assert!(install.contains(&format!("pip install {version}\n")), "it is tested with {version}: {install}");
    assert!(blocks(DOCUMENT).iter().all(|block| ["sh", "sh walk"].contains(&block.kind)));
}

/// Radicale, believing its header.
struct Radicale {
    serving: Serving,
    port: u16,
}

impl Radicale {
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let settings = format!(
            "[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = http_x_remote_user\n[rights]\ntype = owner_only\n\
             [storage]\nfilesystem_folder = collections\n"
        );
        std::fs::write(folder.join("radicale.ini"), settings).expect("a file can be written");
        let mut command = Command::new(program("radicale"));
        let serving =
            Serving::start(command.args(["--config", "radicale.ini"]).current_dir(folder).stdin(Stdio::null()));
        serving.says("Radicale server ready");
        Self { serving, port }
    }

    /// How many requests it has seen so far.
    fn requests(&self) -> usize {
        self.serving.log().matches(" request for ").count()
    }
}

struct World {
    radicale: Radicale,
    front: Front,
    _folder: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let radicale = Radicale::start(folder.path());
        let front = Front::start(&format!(
            r#"
            [limit.failures]
            rate = "1000/m"
            stage = "failed_authentication"
            [defaults]
            upstream = "http://127.0.0.1:{}"
            identity = {{ preset = "none", headers = {{ x-remote-user = "subject" }} }}
            [route]
            calendar = {{ match = ["{HOST}/{{*rest}}", "{APP}/{{*rest}}"], accept = ["session", "api_key"] }}
            "#,
            radicale.port
        ));
        Self { radicale, front, _folder: folder }
    }

    /// The status of a request with this method and these headers.
    fn ask(&self, method: &str, path: &str, headers: &[&str]) -> u16 {
        let url = self.front.url(path);
        let headers = headers.iter().flat_map(|header| ["-H", header]);
        let arguments: Vec<&str> = ["-X", method].into_iter().chain(headers).chain([url.as_str()]).collect();
        self.front.curl(&arguments).status()
    }
}

#[test]
fn f01_f02_f04_no_spelling_of_the_header_makes_anybody_somebody() {
    let world = World::start();
    let (_, bob) = world.front.key("bob", &[]);
    let bob = format!("X-API-Key: {bob}");
    let (_, alice) = world.front.key("alice", &[]);
    let alice = format!("X-API-Key: {alice}");
    assert_eq!(world.ask("MKCALENDAR", "/alice/work/", &[&alice]), 201);

    let spellings =
        ["X-Remote-User", "x-remote-user", "X_Remote_User", "X-Remote_User", "X.Remote.User", "x~remote~user"];
    let seen = world.radicale.requests();
    for name in spellings {
        let forged = format!("{name}: alice");
        assert_eq!(world.ask("PROPFIND", "/alice/", &[&forged]), 401, "{name}");
        assert_eq!(world.ask("PROPFIND", "/alice/", &[&forged, "Connection: x-remote-user"]), 401, "{name}");
        assert_eq!(world.ask("GET", "/.web/", &[&forged, "X-API-Key: pc_live_wrong"]), 401, "{name}");
    }
    assert_eq!(world.radicale.requests(), seen, "nobody reaches it");
    for name in spellings {
        let forged = format!("{name}: alice");
        assert_eq!(world.ask("PROPFIND", "/bob/", &[&bob, &forged]), 207, "{name}");
        assert_eq!(world.ask("PROPFIND", "/alice/work/", &[&bob, &forged]), 403, "{name}");
    }
    assert_eq!(world.ask("DELETE", "/alice/work/", &[&bob]), 403);
    assert_eq!(world.ask("PROPFIND", "/bob/../alice/work/", &[&bob]), 403, "curl itself resolves it");
    assert_eq!(world.ask("PROPFIND", "/alice/work/", &[&alice]), 207);
    let log = world.radicale.serving.log();
    assert!(!log.contains("alice' denied") && log.contains("denied for 'bob'"), "{log}");
}

#[test]
fn a_client_that_moves_what_it_owns_is_understood() {
    let world = World::start();
    let (_, alice) = world.front.key("alice", &[]);
    let key = format!("X-API-Key: {alice}");
    assert_eq!(world.ask("MKCALENDAR", "/alice/work/", &[&key]), 201);
    assert_eq!(world.ask("MKCALENDAR", "/alice/home/", &[&key]), 201);
    let event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:one\r\n\
                 DTSTAMP:20260101T120000Z\r\nDTSTART:20260102T120000Z\r\nSUMMARY:lunch\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    std::fs::write(world.front.folder().join("event.ics"), event).expect("a file can be written");
    let put = world.front.curl(&["-H", &key, "-T", "event.ics", &world.front.url("/alice/work/one.ics")]);
    assert_eq!(put.status(), 201, "{put:?}");
    // `Destination` is an absolute URL: the service compares it with what it is told of its own address.
    let destination = format!("Destination: {}", world.front.url("/alice/home/one.ics"));
    assert_eq!(world.ask("MOVE", "/alice/work/one.ics", &[&key, &destination]), 201);
    let got = world.front.curl(&["-H", &key, &world.front.url("/alice/home/one.ics")]);
    assert!(got.status() == 200 && got.text.contains("SUMMARY:lunch"), "{got:?}");
}

#[test]
fn its_own_pages_work_in_a_browser_with_a_session() {
    let world = World::start();
    let mut browser = Client::start("browser.py");
    browser.ask("start", json!({ "port": world.front.port(), "spki": key_digest(&world.front) }));
    let web = json!({ "url": format!("https://{APP}/.web/") });
    assert_eq!(browser.ask("navigate", web.clone())["status"], 401);
    assert_eq!(world.radicale.requests(), 0);
    let (id, cookie) = world.front.session("alice", &[]);
    browser.ask("cookie", json!({ "url": format!("https://{APP}/"), "pair": cookie }));
    let page = browser.ask("navigate", web.clone());
    assert_eq!(page["status"], 200, "{page}");
    let title = browser.ask("evaluate", json!({ "expression": "document.title" }));
    assert!(title.as_str().is_some_and(|title| title.starts_with("Radicale Web Interface")), "{title}");
    let status = |path: &str, method: &str| json!({ "expression": format!("fetch('{path}', {{ method: '{method}' }}).then((r) => r.status)") });
    assert_eq!(browser.ask("evaluate", status("/alice/work/", "MKCALENDAR")), 201);
    assert_eq!(browser.ask("evaluate", status("/alice/work/", "PROPFIND")), 207);
    assert_eq!(browser.ask("evaluate", status("/bob/", "PROPFIND")), 403);
    world.front.do_it(&["sessions", "revoke", &id]);
    assert_eq!(browser.ask("evaluate", status("/alice/work/", "PROPFIND")), 401);
}
