//! What Portcullis itself shows an upstream: keys, tokens from files and of authorization servers.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::http::{get, send};
use crate::harness::process::{Serving, folder};
use crate::harness::upstream::{Received, Upstream};

const SECRET: &str = "canary-of-the-client";

/// A token endpoint: wants its client to prove itself, numbers its tokens, and can fail.
struct TokenServer {
    server: Upstream,
    issued: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
}

impl TokenServer {
    fn start() -> Self {
        let (issued, down) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, is_down) = (Arc::clone(&issued), Arc::clone(&down));
        let server = Upstream::answering(move |request| {
            let expected = format!("Basic {}", STANDARD.encode(format!("gate:{SECRET}")));
            let form = String::from_utf8_lossy(&request.body).into_owned();
            if is_down.load(Ordering::SeqCst) {
                return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\n\r\ncanary-error".to_vec();
            }
            let is_good = request.line() == "POST /token HTTP/1.1"
                && request.value("authorization") == Some(&*expected)
                && form == "grant_type=client_credentials&scope=orders.read+orders.write&audience=orders";
            if !is_good {
                return b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec();
            }
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let body =
                format!("{{\"access_token\":\"canary-token-{number}\",\"token_type\":\"Bearer\",\"expires_in\":600}}");
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        });
        Self { server, issued, down }
    }

    fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }
}

/// Two routes to two upstreams, of which `app` is shown something.
fn configuration(app: &Upstream, other: &Upstream, credential: &str) -> String {
    format!(
        r#"
health.bind = "127.0.0.1:0"
server.watch = false
log.level = "debug"
[listener.main]
bind = "127.0.0.1:0"
[upstream.app]
endpoints = ["{}"]
[upstream.app.credential]
{credential}
[upstream.other]
endpoints = ["{}"]
[route.all]
match = "/{{*rest}}"
accept = "anyone"
upstream = "app"
[route.other]
match = "/other"
accept = "anyone"
upstream = "other"
"#,
        app.url(),
        other.url()
    )
}

fn oauth2(tokens: &TokenServer) -> String {
    format!(
        "oauth2 = {{ token_url = \"{}/token\", client_id = \"gate\", client_secret = {{ file = \"secret\" }}, \
         scopes = [\"orders.read\", \"orders.write\"], audience = \"orders\" }}",
        tokens.server.url()
    )
}

/// Nothing that must stay here has been logged or counted.
fn keeps_its_secrets(serving: &Serving) {
    let metrics = get(serving.health(), "/metrics", "").body;
    for said in [serving.log(), serving.printed(), metrics] {
        assert!(!said.contains("canary"), "{said}");
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never was so that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn f05_what_we_show_is_ours_alone_and_no_client_can_set_or_remove_it() {
    let (app, other, tokens) = (Upstream::start(), Upstream::start(), TokenServer::start());
    let (_guard, here) = folder(&configuration(&app, &other, &oauth2(&tokens)));
    std::fs::write(here.join("secret"), format!("{SECRET}\n")).unwrap();
    let serving = Serving::run(&here).ready();
    let main = serving.address("main");
    for headers in [
        "",
        "Authorization: Bearer evil\r\n",
        "Authorization: Basic evil\r\nAuthorization: Bearer evil\r\n",
        "Connection: authorization\r\n",
        "Connection: close, Authorization\r\nAuthorization: Bearer evil\r\n",
        "Proxy-Authorization: Basic evil\r\n",
    ] {
        let request = format!("GET /a HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        assert_eq!(send(main, request).status, 200, "{headers}");
        assert_eq!(app.last().values("authorization"), ["Bearer canary-token-1"], "{headers}");
        assert!(!app.last().head.contains("evil"), "{}", app.last().head);
    }
    let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\
                   Trailer: authorization\r\n\r\n1\r\nx\r\n0\r\nAuthorization: Bearer evil\r\nX-Sum: 1\r\n\r\n";
    assert_eq!(send(main, chunked).status, 200);
    assert!(!app.last().trailers.iter().any(|line| line.contains("evil")), "{:?}", app.last().trailers);
    assert_eq!(app.last().values("authorization"), ["Bearer canary-token-1"]);

    assert_eq!(get(main, "/other", "").status, 200);
    assert_eq!(other.last().values("authorization"), Vec::<&str>::new(), "f36: it is for one upstream");
    assert_eq!(tokens.issued(), 1, "one token for all workers and all requests");
    keeps_its_secrets(&serving);
}

#[test]
fn what_the_upstream_refuses_is_renewed_and_only_what_is_safe_is_asked_again() {
    let refused = Arc::new(Mutex::new("Bearer canary-token-1".to_owned()));
    let refuses = Arc::clone(&refused);
    let app = Upstream::answering(move |request: &Received| {
        if request.value("authorization") == Some(&**refuses.lock().unwrap()) {
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n".to_vec()
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()
        }
    });
    let (other, tokens) = (Upstream::start(), TokenServer::start());
    let (_guard, here) = folder(&configuration(&app, &other, &oauth2(&tokens)));
    std::fs::write(here.join("secret"), SECRET).unwrap();
    let serving = Serving::run(&here).ready();
    let main = serving.address("main");
    let post = "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(send(main, post).status, 401);
    assert_eq!(app.received().len(), 1, "it may have had an effect");
    until("there is another token", || tokens.issued() == 2);
    until("it is shown", || get(main, "/a", "").status == 200);
    assert_eq!(app.last().values("authorization"), ["Bearer canary-token-2"]);
    assert_eq!(send(main, post).status, 200);
    // Whatever it refuses now, nobody is asked for yet another one at once.
    *refused.lock().unwrap() = "Bearer canary-token-2".to_owned();
    let before = app.received().len();
    for _ in 0..10 {
        assert_eq!(get(main, "/a", "").status, 401);
    }
    assert_eq!((app.received().len(), tokens.issued()), (before + 10, 2));
    keeps_its_secrets(&serving);
}

#[test]
fn what_may_have_had_an_effect_is_never_asked_again() {
    for request in
        ["DELETE /a HTTP/1.1", "PUT /a HTTP/1.1\r\nContent-Length: 0", "POST /a HTTP/1.1\r\nContent-Length: 0"]
    {
        let app =
            Upstream::answering(|_: &Received| b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec());
        let (other, tokens) = (Upstream::start(), TokenServer::start());
        let (_guard, here) = folder(&configuration(&app, &other, &oauth2(&tokens)));
        std::fs::write(here.join("secret"), SECRET).unwrap();
        let serving = Serving::run(&here).ready();
        let sent = send(serving.address("main"), format!("{request}\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert_eq!((sent.status, app.received().len()), (401, 1), "{request}");
        until("there is another token", || tokens.issued() == 2);
        assert_eq!(app.received().len(), 1, "{request}");
    }
}

#[test]
fn a_safe_request_that_the_upstream_refuses_is_asked_again_with_another_token() {
    let app = Upstream::answering(|request: &Received| {
        if request.value("authorization") == Some("Bearer canary-token-1") {
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec()
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()
        }
    });
    let (other, tokens) = (Upstream::start(), TokenServer::start());
    let (_guard, here) = folder(&configuration(&app, &other, &oauth2(&tokens)));
    std::fs::write(here.join("secret"), SECRET).unwrap();
    let serving = Serving::run(&here).ready();
    assert_eq!(get(serving.address("main"), "/a", "").status, 200);
    let shown: Vec<_> =
        app.received().iter().map(|request| request.value("authorization").unwrap().to_owned()).collect();
    assert_eq!(shown, ["Bearer canary-token-1", "Bearer canary-token-2"]);
    let metrics = get(serving.health(), "/metrics", "").body;
    assert!(metrics.contains("portcullis_upstream_retries_total{upstream=\"app\",cause=\"refused\"} 1"), "{metrics}");
    keeps_its_secrets(&serving);
}

#[test]
fn without_a_token_nothing_is_sent_and_the_client_is_told_when_to_come_back() {
    let (app, other, tokens) = (Upstream::start(), Upstream::start(), TokenServer::start());
    tokens.down.store(true, Ordering::SeqCst);
    let (_guard, here) = folder(&configuration(&app, &other, &oauth2(&tokens)));
    std::fs::write(here.join("secret"), SECRET).unwrap();
    let serving = Serving::run(&here).ready();
    let main = serving.address("main");
    let answer = get(main, "/a", "Authorization: Bearer own\r\n");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.value("retry-after").is_some_and(|after| after.parse::<u32>().is_ok_and(|after| after >= 1)));
    assert!(!answer.body.contains("token"), "{}", answer.body);
    assert!(serving.says("upstream_credential_unavailable").contains("answered 503"));
    let metrics = || get(serving.health(), "/metrics", "").body;
    assert!(metrics().contains("portcullis_upstream_credential_available{upstream=\"app\"} 0"), "{}", metrics());
    assert_eq!(app.received().len(), 0);
    assert_eq!(get(main, "/other", "").status, 200, "others go on");
    tokens.down.store(false, Ordering::SeqCst);
    until("there is one", || get(main, "/a", "").status == 200);
    assert!(metrics().contains("portcullis_upstream_credential_available{upstream=\"app\"} 1"), "{}", metrics());
    keeps_its_secrets(&serving);
}

/// As the kubelet writes them: a folder of its own for each version, and a link that is swapped.
fn project(here: &Path, version: usize, token: &str) {
    let folder = here.join(format!("..v{version}"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("token"), token).unwrap();
    let _ = std::fs::remove_file(here.join("..new"));
    symlink(&folder, here.join("..new")).unwrap();
    std::fs::rename(here.join("..new"), here.join("..data")).unwrap();
}

#[test]
fn a_projected_token_is_shown_as_it_is_renewed_without_a_reload() {
    let (app, other) = (Upstream::start(), Upstream::start());
    let (_guard, here) = folder(&configuration(&app, &other, "token_file = \"token\""));
    symlink("..data/token", here.join("token")).unwrap();
    let serving = Serving::run(&here).ready();
    let main = serving.address("main");
    assert_eq!(get(main, "/a", "").status, 503, "it is not there yet");
    for version in 1..4 {
        project(&here, version, &format!("canary-{version}"));
        let shown = format!("Bearer canary-{version}");
        until("it is shown", || get(main, "/a", "").status == 200 && app.last().values("authorization") == [&*shown]);
    }
    assert!(!serving.log().contains("reloaded"));
    keeps_its_secrets(&serving);
}

#[test]
fn a_key_goes_into_the_header_that_the_service_wants() {
    let (app, other) = (Upstream::start(), Upstream::start());
    let credential = "header = \"x-api-key\"\nvalue = { env = \"KEY\" }";
    let (_guard, here) = folder(&configuration(&app, &other, credential));
    let mut command = crate::harness::process::portcullis(&here);
    let serving = Serving::start(command.args(["run", "--config", "portcullis.toml"]).env("KEY", "canary-key")).ready();
    let own = "Authorization: Bearer own\r\nx_api_key: evil\r\nX-Api-Key: evil\r\nConnection: x-api-key\r\n";
    assert_eq!(get(serving.address("main"), "/a", own).status, 200);
    assert_eq!(app.last().values("x-api-key"), ["canary-key"]);
    assert!(!app.last().head.contains("evil"), "{}", app.last().head);
    assert_eq!(app.last().values("authorization"), ["Bearer own"], "a public route's own stays its own");
    let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: close\r\n\
                   Trailer: x-sum, x-api-key, x_api_key\r\n\r\n1\r\nx\r\n0\r\nX-Api-Key: evil\r\nx_api_key: evil\r\nX-Sum: 1\r\n\r\n";
    assert_eq!(send(serving.address("main"), chunked).status, 200);
    let trailers = app.last().trailers;
    assert!(trailers.iter().any(|line| line.to_ascii_lowercase().starts_with("x-sum")), "{trailers:?}");
    assert!(!trailers.iter().any(|line| line.contains("evil")), "{trailers:?}");
    assert_eq!(app.last().values("x-api-key"), ["canary-key"]);
    keeps_its_secrets(&serving);
}
