//! Down for maintenance: a route or everything, for everybody but those who look after it.

use std::process::Command;

use crate::harness::http::{self, Answer};
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::upstream::Upstream;

fn start(keys: &str, upstream: &Upstream) -> Portcullis {
    Setup::new().start_with(
        &format!("listener.main.trusted_proxies = [\"127.0.0.1\"]\n{keys}"),
        &format!(
            r#"
            [defaults]
            upstream = "{}"
            [route]
            closed = {{ match = "/closed", accept = "jwt", maintenance = true }}
            mine = {{ match = "/mine", accept = "anyone", maintenance = {{ retry_after = "90s", allow = {{ networks = ["10.1.0.0/16"] }} }} }}
            open = {{ match = "/open", accept = "anyone" }}
            "#,
            upstream.url()
        ),
    )
}

fn get(portcullis: &Portcullis, path: &str, from: &str) -> Answer {
    http::get(portcullis.address(), path, &format!("X-Forwarded-For: {from}\r\n"))
}

#[track_caller]
fn is_down(answer: &Answer, retry_after: &str) {
    assert_eq!((answer.status, answer.value("retry-after")), (503, Some(retry_after)), "{}", answer.head);
    assert_eq!(answer.json()["type"], "urn:portcullis:maintenance");
}

#[test]
fn a_route_is_down_before_anything_is_asked_of_it() {
    let upstream = Upstream::start();
    let portcullis = start("", &upstream);
    is_down(&get(&portcullis, "/closed", "192.0.2.1"), "600");
    let (token, to) = (portcullis.token(serde_json::json!({})), portcullis.address());
    is_down(&http::get(to, "/closed", &bearer(&token)), "600");
    is_down(&http::get(to, "/closed", &bearer("a.b.c")), "600");
    is_down(&get(&portcullis, "/mine", "192.0.2.1"), "90");
    assert_eq!(get(&portcullis, "/mine", "10.1.2.3").status, 200);
    assert_eq!(get(&portcullis, "/open", "192.0.2.1").status, 200);
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn the_whole_instance_is_down_and_its_health_is_not() {
    let upstream = Upstream::start();
    let keys = "maintenance = { retry_after = \"1h\", allow = { networks = [\"10.1.0.0/16\"] } }";
    let portcullis = start(keys, &upstream);
    is_down(&get(&portcullis, "/open", "192.0.2.1"), "3600");
    assert_eq!(get(&portcullis, "/open", "10.1.2.3").status, 200);
    assert_eq!(http::get(portcullis.health(), "/readyz", "").status, 200);
    let page = http::get(portcullis.address(), "/open", "Accept: text/html\r\n");
    assert_eq!((page.status, page.value("content-type")), (503, Some("text/html; charset=utf-8")));
}

#[test]
fn it_is_switched_while_it_runs() {
    let upstream = Upstream::start();
    let keys = "maintenance = { on = false, retry_after = \"5m\", allow = { networks = [\"10.1.0.0/16\"] } }";
    let portcullis = start(keys, &upstream);
    let socket = portcullis.folder().join("admin.sock");
    let run = |verb: &str| {
        let run = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["maintenance", verb, "--admin"])
            .arg(&socket)
            .output()
            .expect("portcullis");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).expect("text").trim().to_owned()
    };
    assert_eq!(run("show"), "off");
    assert_eq!(get(&portcullis, "/open", "192.0.2.1").status, 200);
    assert_eq!(run("on"), "on");
    assert_eq!(run("show"), "on");
    is_down(&get(&portcullis, "/open", "192.0.2.1"), "300");
    assert_eq!(get(&portcullis, "/open", "10.1.2.3").status, 200);
    assert_eq!(http::get(portcullis.health(), "/readyz", "").status, 200);
    assert_eq!(run("off"), "off");
    assert_eq!(get(&portcullis, "/open", "192.0.2.1").status, 200);
    // What the configuration says of a route is not switched.
    is_down(&get(&portcullis, "/closed", "192.0.2.1"), "600");
}
