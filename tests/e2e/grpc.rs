//! gRPC between a real client and a real server: over TLS to Portcullis, from there over clear text or TLS.

use serde_json::{Value, json};

use super::front::{Front, HOST};
use super::python::{Client, Server};
use crate::harness::certificates::Authority;

struct World {
    server: Server,
    front: Front,
    client: Client,
    /// An API key of alice, its public id and the metadata that carries it.
    key: (String, Value),
    _folder: tempfile::TempDir,
}

impl World {
    /// With a server in clear text.
    fn start() -> Self {
        Self::start_with("h2c", |port| format!("endpoints = [\"h2c://127.0.0.1:{port}\"]"))
    }

    /// With a server over TLS.
    fn start_with_tls() -> Self {
        Self::start_with("https", |port| {
            format!("endpoints = [\"https://localhost:{port}\"]\ntls = {{ ca = \"upstream-ca.pem\" }}")
        })
    }

    fn start_with(scheme: &str, upstream: impl Fn(u16) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Authority::new(folder.path()).server("server", &["localhost"]);
        let file = |name: &str| folder.path().join(name).to_str().expect("a path in UTF-8").to_owned();
        let (chain, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
        let arguments: &[&str] = if scheme == "https" { &[&chain, &key] } else { &[] };
        let server = Server::start_with("grpc_server.py", arguments);
        let configuration = format!(
            r#"
            [upstream.grpc]
            {}
            [defaults]
            upstream = "grpc"
            accept = "api_key"
            [route]
            echo = {{ match = "{HOST}/test.Echo/{{method}}" }}
            staff = {{ match = "{HOST}/test.Echo/staff", allow = [{{ groups = ["staff"] }}] }}
            "#,
            upstream(server.port)
        );
        let front = Front::start_in(&configuration, |folder| {
            std::fs::copy(&ca, folder.join("upstream-ca.pem")).expect("a file can be copied");
        });
        let mut client = Client::start("grpc_client.py");
        let target = format!("{HOST}:{}", front.port());
        client.ask("connect", json!({ "target": target, "ca": front.folder().join("ca.pem") }));
        let (id, key) = front.key("alice", &[]);
        Self { server, front, client, key: (id, json!([["x-api-key", key]])), _folder: folder }
    }

    fn metadata(&self) -> Value {
        self.key.1.clone()
    }

    /// A unary call, with alice's key.
    #[track_caller]
    fn unary(&mut self, method: &str, text: &str) -> Value {
        let metadata = self.metadata();
        self.client.ask("unary", json!({ "method": method, "text": text, "metadata": metadata }))
    }
}

/// The values of one name.
fn all<'a>(metadata: &'a Value, name: &str) -> Vec<&'a str> {
    let pairs = metadata.as_array().expect("pairs").iter();
    pairs.filter(|pair| pair[0] == name).filter_map(|pair| pair[1].as_str()).collect()
}

fn every_kind_of_call(world: &mut World) {
    let metadata = world.metadata();
    let done = world.unary("echo", "hello");
    assert_eq!((&done["code"], &done["reply"]), (&json!("OK"), &json!("hello")), "{done}");
    let bytes: String = (0..=255u8).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (all(&done["trailing"], "x-trailer"), all(&done["trailing"], "x-raw-bin")),
        (vec!["after"], vec![&*bytes])
    );

    for size in [0, 1, 16_384, 100_000, 8 << 20] {
        let arguments = json!({ "size": size, "metadata": metadata });
        assert_eq!(world.client.ask("echo_large", arguments), true, "{size} bytes");
    }
    assert_eq!(world.client.ask("echo_many", json!({ "count": 200, "metadata": metadata })), true);
    let sent = world.client.ask("client_stream", json!({ "count": 300, "size": 5000, "metadata": metadata }));
    assert_eq!(sent, "300 1500000");
    let got = world.client.ask("server_stream", json!({ "method": "down", "text": "300", "metadata": metadata }));
    let expected: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    assert_eq!((&got["code"], &got["reply"]), (&json!("OK"), &json!(expected)));

    // Each word is answered before the next is said: nothing waits for the end of anything.
    world.client.ask("talk", json!({ "name": "talk", "metadata": metadata }));
    for word in ["one", "two", "three", "four"] {
        assert_eq!(world.client.ask("say", json!({ "name": "talk", "text": word })), word);
    }
    assert_eq!(world.client.ask("finish", json!({ "name": "talk" }))["code"], "OK");
}

#[test]
fn every_kind_of_call_works_with_a_server_in_clear_text() {
    every_kind_of_call(&mut World::start());
}

#[test]
fn every_kind_of_call_works_with_a_server_over_tls() {
    every_kind_of_call(&mut World::start_with_tls());
}

#[test]
fn metadata_deadline_and_compression_reach_the_server_and_identity_is_ours() {
    let mut world = World::start();
    let mut metadata = world.metadata();
    for (name, value) in [
        ("x-own", "one"),
        ("x-own", "two"),
        ("x-raw-bin", "00ff0a0d"),
        ("x-auth-subject", "mallory"),
        ("x_auth_roles", "admin"),
        ("remote-user", "mallory"),
    ] {
        metadata.as_array_mut().expect("pairs").push(json!([name, value]));
    }
    let text = "a".repeat(50_000);
    let asked = json!({ "method": "describe", "text": text, "metadata": metadata, "timeout": 25, "gzip": true });
    let done = world.client.ask("unary", asked);
    assert_eq!((&done["code"], all(&done["initial"], "x-initial")), (&json!("OK"), vec!["before"]), "{done}");
    let seen: Value = serde_json::from_str(done["reply"].as_str().expect("a reply")).expect("JSON");
    let of = |name: &str| all(&seen["metadata"], name);
    assert_eq!((of("x-own").join(","), of("x-raw-bin")), ("one,two".to_owned(), vec!["00ff0a0d"]), "{seen:#}");
    assert_eq!(
        (of("x-auth-subject"), of("x_auth_roles"), of("remote-user")),
        (vec!["alice"], vec![], vec![]),
        "{seen:#}"
    );
    assert_eq!((of("x-api-key"), &seen["length"]), (vec![], &json!(50_000)), "{seen:#}");
    let remaining = seen["remaining"].as_f64().expect("a deadline");
    assert!(remaining > 0.0 && remaining <= 25.0, "{remaining}");
}

#[test]
fn errors_come_with_their_code_their_words_and_their_details() {
    let mut world = World::start();
    let words = "not now: 100% of Zoë's\nquota";
    let failed = world.unary("fail", words);
    assert_eq!((&failed["code"], &failed["details"]), (&json!("FAILED_PRECONDITION"), &json!(words)), "{failed}");
    let trailing = &failed["trailing"];
    assert_eq!(all(trailing, "grpc-status-details-bin"), ["0809120064657461696c73"]);
    assert_eq!(all(trailing, "x-trailer"), ["after"]);
    let metadata = world.metadata();
    let late = world.client.ask("server_stream", json!({ "method": "fail_late", "text": "", "metadata": metadata }));
    assert_eq!((&late["code"], &late["reply"]), (&json!("DATA_LOSS"), &json!(["one", "two"])), "{late}");
    assert_eq!(world.unary("no_such_method", "")["code"], "UNIMPLEMENTED");
}

#[test]
fn a_deadline_that_passes_and_a_call_that_is_cancelled_end_at_the_server_too() {
    let mut world = World::start();
    let metadata = world.metadata();
    // So that the deadline passes at the server, and not on the way there.
    assert_eq!(world.unary("echo", "hello")["code"], "OK");
    let late = world.client.ask("unary", json!({ "method": "wait", "metadata": metadata, "timeout": 2 }));
    assert_eq!(late["code"], "DEADLINE_EXCEEDED", "{late}");
    world.server.prints("over wait");

    world.client.ask("start_waiting", json!({ "name": "waits", "metadata": metadata }));
    world.server.prints_again("waiting", 2);
    assert_eq!(world.client.ask("cancel", json!({ "name": "waits" }))["code"], "CANCELLED");
    world.server.prints_again("over wait", 2);

    assert_eq!(world.client.ask("listen", json!({ "name": "stream", "metadata": metadata })), "0");
    assert_eq!(world.client.ask("cancel", json!({ "name": "stream" }))["code"], "CANCELLED");
    world.server.prints("over forever");
    assert_eq!(world.unary("echo", "the channel is still good")["code"], "OK");
}

#[test]
fn a_denial_is_a_status_that_the_client_knows() {
    let mut world = World::start();
    let nobody = world.client.ask("unary", json!({ "method": "echo" }));
    assert_eq!(nobody["code"], "UNAUTHENTICATED", "{nobody}");
    let wrong = json!({ "method": "echo", "metadata": [["authorization", "Bearer pc_live_wrong"]] });
    assert_eq!(world.client.ask("unary", wrong)["code"], "UNAUTHENTICATED");
    let refused = world.unary("staff", "");
    assert_eq!(refused["code"], "PERMISSION_DENIED", "{refused}");
    let metadata = world.metadata();
    let stream = json!({ "method": "staff", "text": "", "metadata": metadata });
    assert_eq!(world.client.ask("server_stream", stream)["code"], "PERMISSION_DENIED");
    assert!(refused["details"].as_str().is_some_and(|text| !text.is_empty() && !text.contains("staff")), "{refused}");
    assert_eq!(world.unary("echo", "hello")["code"], "OK");
}

#[test]
fn a_live_stream_ends_with_its_credential_and_says_why() {
    let mut world = World::start();
    let metadata = world.metadata();
    let (_, other) = world.front.key("alice", &[]);
    let other = json!([["x-api-key", other]]);
    world.client.ask("talk", json!({ "name": "stays", "metadata": other }));
    world.client.ask("talk", json!({ "name": "talks", "metadata": metadata }));
    assert_eq!(world.client.ask("listen", json!({ "name": "listens", "metadata": metadata })), "0");
    for name in ["stays", "talks"] {
        assert_eq!(world.client.ask("say", json!({ "name": name, "text": "hello" })), "hello");
    }
    let id = world.key.0.clone();
    world.front.do_it(&["keys", "revoke", &id]);
    for name in ["listens", "talks"] {
        let ended = world.client.ask("wait_for_end", json!({ "name": name }));
        assert_eq!(ended["code"], "UNAUTHENTICATED", "{name}: {ended}");
    }
    world.server.prints("over forever");
    // Of the same connection, but of another key.
    assert_eq!(world.client.ask("say", json!({ "name": "stays", "text": "still here" })), "still here");
    assert_eq!(world.unary("echo", "")["code"], "UNAUTHENTICATED");
}

#[test]
fn a_server_that_is_gone_is_unavailable() {
    let mut world = World::start();
    assert_eq!(world.unary("echo", "hello")["code"], "OK");
    world.server.stop();
    assert_eq!(world.unary("echo", "hello")["code"], "UNAVAILABLE");
}
