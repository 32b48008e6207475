//! A browser: Chromium, headless, over TLS and HTTP/2.

use std::process::Command;

use serde_json::{Value, json};

use super::front::{APP, ELSEWHERE, Front, NEIGHBOUR};
use super::python::{Client, Server};
use crate::harness::streams::Streams;
use crate::harness::upstream::Upstream;

/// What pages of the tests have at hand.
const PAGE: &str = r#"<!doctype html><title>page</title><body><h1>hello from the page</h1>
<form method="post" action="/saved"><input name="a" value="b"></form>
<form id="cross" method="post" action="https://app.example/saved"><input name="a" value="b"></form>
<script>
const until = async (condition) => {
  while (!condition()) await new Promise((go) => setTimeout(go, 5));
  return condition();
};
</script>"#;

struct World {
    pages: Upstream,
    streams: Streams,
    server: Server,
    front: Front,
    browser: Client,
}

impl World {
    fn start() -> Self {
        let pages = Upstream::answering(|request| {
            let (kind, body) = match request.target() {
                "/data.json" => ("application/json", "{\"answer\":42}"),
                "/saved" => ("text/plain", "saved"),
                _ => ("text/html", PAGE),
            };
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
        });
        let (streams, server) = (Streams::start(), Server::start("websocket_server.py"));
        let front = Front::start(&format!(
            r#"
            [defaults]
            upstream = "{pages}"
            [route]
            site = {{ match = "{APP}/{{*rest}}", accept = "session" }}
            staff = {{ match = "{APP}/staff", accept = "session", allow = [{{ groups = ["staff"] }}] }}
            shared = {{ match = "{APP}/shared/{{*rest}}", accept = "session", cors = {{ origins = ["https://{NEIGHBOUR}"], credentials = true, headers = ["x-purpose"] }} }}
            events = {{ match = "{APP}/ticks", accept = "session", upstream = "{streams}" }}
            chat = {{ match = "{APP}/chat/{{*rest}}", accept = "session", upstream = "http://127.0.0.1:{chat}" }}
            elsewhere = {{ match = ["{NEIGHBOUR}/{{*rest}}", "{ELSEWHERE}/{{*rest}}"], accept = "anyone" }}
            "#,
            pages = pages.url(),
            streams = streams.url(),
            chat = server.port,
        ));
        let mut browser = Client::start("browser.py");
        browser.ask("start", json!({ "port": front.port(), "spki": key_digest(&front) }));
        Self { pages, streams, server, front, browser }
    }

    /// Logs the browser in; the session's public id.
    fn log_in(&mut self) -> String {
        let (id, cookie) = self.front.session("alice", &[]);
        self.browser.ask("cookie", json!({ "url": format!("https://{APP}/"), "pair": cookie }));
        id
    }

    fn navigate(&mut self, host: &str, path: &str) -> Value {
        self.browser.ask("navigate", json!({ "url": format!("https://{host}{path}") }))
    }

    #[track_caller]
    fn evaluate(&mut self, expression: &str) -> Value {
        self.browser.ask("evaluate", json!({ "expression": expression }))
    }

    /// Methods and paths that were denied for where they came from.
    fn cross_site(&self) -> Vec<String> {
        let log = self.front.serving.log();
        let denied = log.lines().filter(|line| line.contains("denial=\"cross_site\""));
        let value =
            |line: &str, name: &str| line.split(name).nth(1).and_then(|rest| rest.split('"').nth(1).map(str::to_owned));
        let both = |line| Some(format!("{} {}", value(line, "method=")?, value(line, "path=")?));
        denied.filter_map(both).collect()
    }

    /// The targets of requests that have reached the service by this method.
    fn reached(&self, method: &str) -> Vec<String> {
        let received = self.pages.received();
        let of_method = received.iter().filter(|one| one.line().split(' ').next() == Some(method));
        of_method.map(|one| one.target().to_owned()).filter(|target| target != "/favicon.ico").collect()
    }
}

/// SHA-256 of the public key of its certificate, as Chromium wants it.
pub fn key_digest(front: &Front) -> String {
    let command = "openssl x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform der \
                   | openssl dgst -sha256 -binary | openssl base64";
    let output = Command::new("sh").args(["-c", command]).current_dir(front.folder()).output().expect("openssl");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn a_page_behind_a_session_is_there_for_who_has_one() {
    let mut world = World::start();
    let denied = world.navigate(APP, "/");
    assert_eq!((&denied["status"], &denied["protocol"]), (&json!(401), &json!("h2")), "{denied}");
    assert_eq!(denied["type"], "text/html", "a page for people: {denied}");
    assert!(!denied["text"].as_str().expect("a text to read").is_empty(), "{denied}");
    assert_eq!(world.reached("GET"), Vec::<String>::new());

    let id = world.log_in();
    let page = world.navigate(APP, "/");
    assert_eq!((&page["status"], &page["protocol"]), (&json!(200), &json!("h2")), "{page}");
    assert!(page["text"].as_str().unwrap().contains("hello from the page"), "{page}");
    let seen = world.pages.received().remove(0);
    assert_eq!((seen.value("x-auth-subject"), seen.value("cookie")), (Some("alice"), None), "{}", seen.head);
    assert_eq!(world.evaluate("document.cookie"), "", "no script of a page reads the session");

    let fetched =
        "fetch('/data.json', { headers: { 'X-Auth-Subject': 'root', 'x_auth_roles': 'admin' } }).then((r) => r.json())";
    assert_eq!(world.evaluate(fetched), json!({ "answer": 42 }));
    let seen = world.pages.last();
    assert_eq!((seen.value("x-auth-subject"), seen.head.contains("admin")), (Some("alice"), false), "{}", seen.head);
    let saved = world.browser.ask("submit", json!({ "expression": "document.forms[0].submit()" }));
    assert_eq!((&saved["status"], &saved["text"]), (&json!(200), &json!("saved")), "a form of our own page");
    let received = world.pages.received();
    let saved = received.iter().find(|one| one.target() == "/saved").expect("it was sent");
    assert_eq!((saved.line(), &saved.body[..]), ("POST /saved HTTP/1.1", &b"a=b"[..]));

    let forbidden = world.navigate(APP, "/staff");
    assert_eq!((&forbidden["status"], &forbidden["type"]), (&json!(403), &json!("text/html")), "{forbidden}");
    // From a page of the site: that of a denial may load nothing.
    assert_eq!(world.navigate(APP, "/")["status"], 200);
    let fetched = world.evaluate("fetch('/staff').then((r) => `${r.status} ${r.headers.get('content-type')}`)");
    assert_eq!(fetched, "403 application/problem+json", "scripts read something else");
    world.front.do_it(&["sessions", "revoke", &id]);
    assert_eq!(world.navigate(APP, "/")["status"], 401);
}

#[test]
fn another_origins_page_neither_acts_nor_reads_with_the_visitors_session() {
    let mut world = World::start();
    world.log_in();
    assert_eq!(world.navigate(NEIGHBOUR, "/")["status"], 200);
    let fetches = |target: &str, options: &str| {
        let url = format!("https://{APP}{target}");
        let (read, failed) = ("async (r) => `${r.type} ${await r.text()}`", "() => 'no'");
        format!("fetch('{url}', {{ credentials: 'include', {options} }}).then({read}, {failed})")
    };
    // Whatever a page can send without asking first.
    for mode in ["no-cors", "cors"] {
        let outcome = world.evaluate(&fetches("/saved", &format!("method: 'POST', mode: '{mode}', body: 'a=b'")));
        assert!(outcome == "opaque " || outcome == "no", "{outcome}");
    }
    // And what it has to ask for.
    assert_eq!(world.evaluate(&fetches("/saved", "method: 'DELETE'")), "no");
    // Its GET is answered as any, but it does not get to see with what.
    assert_eq!(world.evaluate(&fetches("/data.json", "")), "no");
    let opens =
        "(over) => { const s = new WebSocket(url); s.onopen = () => over('open'); s.onerror = () => over('no'); }";
    let socket = format!("const url = 'wss://{APP}/chat/x'; new Promise({opens})");
    assert_eq!(world.evaluate(&socket), "no", "a WebSocket reads and acts");
    // It was not for want of the cookie.
    assert_eq!(world.cross_site(), ["POST /saved", "POST /saved", "GET /chat/x"]);

    // What the route opens to that origin it may read; the preflight is answered by Portcullis.
    let shared = world.evaluate(&fetches("/shared/x", "headers: { 'x-purpose': 'test' }"));
    assert!(shared.as_str().is_some_and(|text| text.starts_with("cors <!doctype html>")), "{shared}");
    assert_eq!(world.evaluate(&fetches("/shared/x", "headers: { 'x-other': 'test' }")), "no");

    // A form needs no leave to be sent, and its answer is a page that the browser goes to.
    assert_eq!(world.navigate(ELSEWHERE, "/")["status"], 200);
    let denied = world.browser.ask("submit", json!({ "expression": "document.forms.cross.submit()" }));
    assert_eq!(denied["status"], 403, "{denied}");
    assert_eq!(world.cross_site().len(), 4, "{:?}", world.cross_site());

    for method in ["POST", "DELETE", "OPTIONS"] {
        assert_eq!(world.reached(method), Vec::<String>::new(), "{method}");
    }
    assert_eq!(world.server.printed().lines().count(), 1, "no WebSocket came so far: {}", world.server.printed());
}

#[test]
fn events_and_websockets_of_a_page_are_live_and_end_with_the_session() {
    let mut world = World::start();
    let id = world.log_in();
    assert_eq!(world.navigate(APP, "/")["status"], 200);
    world.evaluate(
        "window.events = []; window.source = new EventSource('/ticks'); source.onmessage = (e) => events.push(e.data); 0",
    );
    assert_eq!(world.evaluate("until(() => events.length > 5).then(() => events[0])"), "hi");
    world.evaluate(
        "window.said = []; window.socket = new WebSocket('wss://app.example/chat/page', ['chat.v2']);
         socket.onmessage = (e) => said.push(e.data); socket.onclose = (e) => { window.ended = e.code; };
         socket.onopen = () => socket.send('hello from a page'); 0",
    );
    assert_eq!(world.evaluate("until(() => said.length).then(() => said[0])"), "hello from a page");
    assert_eq!(world.evaluate("socket.protocol"), "chat.v2");
    let handshake = world.browser.ask("websocket_handshake", json!({}));
    assert_eq!(handshake, 200, "the browser takes the HTTP/2 connection that it has (RFC 8441)");
    world.evaluate("socket.send(new Blob([new Uint8Array(300000).fill(7)])); socket.binaryType = 'arraybuffer'; 0");
    assert_eq!(world.evaluate("until(() => said.length > 1).then(() => said[1].byteLength)"), 300_000);

    world.front.do_it(&["sessions", "revoke", &id]);
    assert_eq!(world.evaluate("until(() => window.ended)"), 4401);
    world.server.prints("over /chat/page");
    world.streams.wait_for_end("/ticks");
    // It tries again by itself, is refused, and gives up for good.
    assert_eq!(world.evaluate("until(() => source.readyState === EventSource.CLOSED).then(() => 'closed')"), "closed");
}
