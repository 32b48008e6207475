//! Refusals as people see them: a page for those who prefer HTML, and nothing of it for anybody else.

use crate::harness::http::{self, Answer};
use crate::harness::portcullis::{Portcullis, Setup};
use crate::harness::upstream::Upstream;

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

fn start(setup: Setup, upstream: &Upstream, pages: &str) -> Portcullis {
    setup.start(&format!(
        r#"
        {pages}
        [route]
        app = {{ match = "/app", accept = "jwt", upstream = "{0}" }}
        open = {{ match = "/open", accept = "anyone", upstream = "{0}" }}
        cors = {{ match = "/cors", accept = "jwt", upstream = "{0}", cors = {{ origins = ["https://a.example"] }} }}
        "#,
        upstream.url()
    ))
}

fn get(portcullis: &Portcullis, path: &str, lines: &str) -> Answer {
    http::get(portcullis.address(), path, lines)
}

#[test]
fn browsers_get_a_page_and_programs_a_problem_document() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nmine".to_vec()
    });
    let portcullis = start(Setup::new(), &upstream, "");
    let page = get(&portcullis, "/app", BROWSER);
    assert_eq!((page.status, page.value("content-type")), (401, Some("text/html; charset=utf-8")));
    assert!(page.value("www-authenticate").is_some() && page.value("content-security-policy").is_some());
    assert_eq!((page.value("vary"), page.value("cache-control")), (Some("Accept"), Some("no-store")));
    assert!(page.body.contains(page.value("x-request-id").expect("an id")), "{}", page.body);
    for lines in ["", "Accept: */*\r\n", "Accept: application/json\r\n"] {
        let document = get(&portcullis, "/app", lines);
        assert_eq!(document.value("content-type"), Some("application/problem+json"), "{lines}");
        assert_eq!(document.value("vary"), Some("Accept"));
    }
    // What the upstream says is its own.
    let own = get(&portcullis, "/open", BROWSER);
    assert_eq!((own.status, &*own.body, own.value("vary")), (403, "mine", None));
    let rpc = get(&portcullis, "/app", &format!("{BROWSER}Content-Type: application/grpc\r\n"));
    assert_eq!(
        (rpc.value("content-type"), rpc.value("grpc-status"), rpc.value("vary")),
        (Some("application/grpc"), Some("16"), None)
    );
    let both = get(&portcullis, "/cors", &format!("{BROWSER}Origin: https://a.example\r\n"));
    assert_eq!(both.values("vary"), ["Accept", "Origin"]);
}

#[test]
fn f63_nothing_of_the_request_is_in_a_page() {
    let upstream = Upstream::start();
    let portcullis = start(Setup::new(), &upstream, "");
    let answer = get(
        &portcullis,
        "/x?%3Cscript%3E=%22canary%22",
        &format!("{BROWSER}X-Request-Id: canary\r\nReferer: canary\r\n"),
    );
    assert_eq!(answer.status, 404);
    assert!(!answer.body.contains("canary") && !answer.body.contains("script"), "{}", answer.body);
}

#[test]
fn templates_are_the_operators() {
    let (upstream, setup) = (Upstream::start(), Setup::new());
    for (name, text) in [("401.html", "<p>{{title}} {{ status }}"), ("rest.html", "<p>{{decision_id}}</p>")] {
        std::fs::write(setup.folder().join(name), text).expect("a page");
    }
    let portcullis = start(setup, &upstream, "[pages]\n\"401\" = \"401.html\"\ndefault = \"rest.html\"");
    assert_eq!(get(&portcullis, "/app", BROWSER).body, "<p>A credential is required 401");
    let rest = get(&portcullis, "/nowhere", BROWSER);
    assert_eq!(rest.body, format!("<p>{}</p>", rest.value("x-request-id").expect("an id")));
    assert!(get(&portcullis, "/app", "").body.starts_with('{'));
}
