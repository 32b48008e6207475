//! WebSockets between a real client and a real server, neither of which knows of Portcullis.

use serde_json::{Value, json};

use super::front::Front;
use super::python::{Client, Server};

struct World {
    server: Server,
    front: Front,
    client: Client,
}

impl World {
    fn start() -> Self {
        let server = Server::start("websocket_server.py");
        let front = Front::start(&format!(
            r#"
            [route.chat]
            match = "/chat/{{*rest}}"
            accept = ["session", "api_key"]
            upstream = "http://127.0.0.1:{}"
            "#,
            server.port
        ));
        Self { server, front, client: Client::start("websocket_client.py") }
    }

    /// Opens a connection of this name.
    fn open(&mut self, name: &str, headers: Value, subprotocols: Value) -> Value {
        let url = self.front.url(&format!("/chat/{name}?a=1")).replace("https:", "wss:");
        let ca = self.front.folder().join("ca.pem");
        let arguments = json!({ "name": name, "url": url, "ca": ca, "headers": headers, "subprotocols": subprotocols });
        self.client.ask("open", arguments)
    }

    /// Headers of a browser's page of our own origin, with its session.
    fn browser(&self, cookie: &str) -> Value {
        json!({ "cookie": cookie, "origin": self.front.url("") })
    }
}

#[test]
fn messages_of_every_kind_come_back_as_they_were_sent() {
    let mut world = World::start();
    let (_, key) = world.front.key("alice", &[]);
    let opened =
        world.open("all", json!({ "x-api-key": key, "x-auth-subject": "mallory" }), json!(["chat.v1", "chat.v2"]));
    assert_eq!(opened, json!({ "status": 101, "subprotocol": "chat.v2", "extensions": ["permessage-deflate"] }));

    let client = &mut world.client;
    for (text, fragments) in [("hello", false), ("", false), ("Grüße, 世界 🎈", false), ("Grüße, 世界 🎈", true)]
    {
        assert_eq!(client.ask("echo_text", json!({ "name": "all", "text": text, "fragments": fragments })), true);
    }
    for (size, fragments) in [(1, 1), (125, 1), (126, 1), (65_535, 1), (65_536, 1), (8 << 20, 1), (1 << 20, 100)] {
        let arguments = json!({ "name": "all", "size": size, "fragments": fragments });
        assert_eq!(client.ask("echo_binary", arguments), true, "{size} bytes in {fragments}");
    }
    assert_eq!(client.ask("burst", json!({ "name": "all", "count": 500 })), true);
    assert_eq!(client.ask("ping", json!({ "name": "all", "payload": "are you there" })), true);
    assert_eq!(client.ask("tell", json!({ "name": "all", "text": "ping and you" })), "ponged and you");

    let seen = client.ask("tell", json!({ "name": "all", "text": "headers" }));
    let seen: Value = serde_json::from_str(seen.as_str().expect("text")).expect("JSON");
    assert_eq!(seen["path"], "/chat/all?a=1");
    let all = |wanted: &str| -> Vec<&str> {
        let headers = seen["headers"].as_array().expect("headers").iter();
        headers.filter(|pair| pair[0] == wanted).filter_map(|pair| pair[1].as_str()).collect()
    };
    assert_eq!((all("x-auth-subject"), all("x-api-key")), (vec!["alice"], vec![]), "{seen:#}");
}

#[test]
fn either_side_closes_with_its_own_code_and_reason() {
    let mut world = World::start();
    let (_, key) = world.front.key("alice", &[]);
    for name in ["by-client", "by-server", "goodbye"] {
        assert_eq!(world.open(name, json!({ "x-api-key": key }), Value::Null)["status"], 101);
    }
    let closed = world.client.ask("close", json!({ "name": "by-client", "code": 3001, "reason": "enough" }));
    assert_eq!(closed, json!({ "code": 3001, "reason": "enough" }));
    world.server.prints("over /chat/by-client?a=1 3001 enough");

    let ended = world.client.ask("wait_for_end", json!({ "name": "by-server", "say": "close 4000 go away" }));
    assert_eq!(ended, json!({ "code": 4000, "reason": "go away" }));
    let closed = world.client.ask("close", json!({ "name": "goodbye", "code": 1000, "reason": "" }));
    assert_eq!(closed, json!({ "code": 1000, "reason": "" }));
    world.server.prints("over /chat/goodbye?a=1 1000 ");
}

#[test]
fn who_may_not_is_told_so_before_there_is_a_websocket() {
    let mut world = World::start();
    let (_, cookie) = world.front.session("alice", &[]);
    let problem = |answer: Value| -> (Value, Value) {
        let body: Value = serde_json::from_str(answer["body"].as_str().expect("a body")).expect("a problem document");
        (answer["status"].clone(), body["type"].clone())
    };
    let nobody = world.open("nobody", json!({}), Value::Null);
    assert_eq!(problem(nobody), (json!(401), json!("urn:portcullis:credential_missing")));
    let forged = world.open("forged", json!({ "cookie": "__Host-session=x", "origin": "x" }), Value::Null);
    assert_eq!(forged["status"], 401);
    // The cookie goes wherever a page asks the browser to connect to: another site's page gets nowhere with it.
    let mut headers = world.browser(&cookie);
    assert_eq!(world.open("own", headers.clone(), Value::Null)["status"], 101);
    headers["origin"] = json!("https://evil.example");
    let foreign = world.open("foreign", headers, Value::Null);
    assert_eq!(problem(foreign), (json!(403), json!("urn:portcullis:cross_site")));
    assert_eq!(world.client.ask("tell", json!({ "name": "own", "text": "still here" })), "still here");
    assert!(!world.server.printed().contains("over "), "{}", world.server.printed());
}

#[test]
fn a_session_that_ends_takes_its_websockets_along() {
    let mut world = World::start();
    let (id, cookie) = world.front.session("alice", &[]);
    let (_, other) = world.front.session("alice", &[]);
    let headers = [world.browser(&cookie), world.browser(&other)];
    for (name, headers) in ["ends", "stays"].into_iter().zip(headers.clone()) {
        assert_eq!(world.open(name, headers, Value::Null)["status"], 101);
        assert_eq!(world.client.ask("tell", json!({ "name": name, "text": "hello" })), "hello");
    }
    world.front.do_it(&["sessions", "revoke", &id]);
    let ended = world.client.ask("wait_for_end", json!({ "name": "ends" }));
    assert_eq!(ended["code"], 4401, "{ended}");
    world.server.prints("over /chat/ends?a=1");
    assert_eq!(world.client.ask("tell", json!({ "name": "stays", "text": "hello" })), "hello");
    assert_eq!(world.open("again", headers[0].clone(), Value::Null)["status"], 401);
}
