//! curl, over TLS, in both versions of HTTP.

use crate::harness::upstream::{Received, Upstream};

use super::front::{Front, HOST};

const VERSIONS: [&str; 2] = ["--http1.1", "--http2"];

/// 3 MB in which no two places look alike.
fn large() -> Vec<u8> {
    (0..3_000_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

/// A service with a large file that can be had in parts; everything else it answers with how much it was sent.
fn service() -> Upstream {
    let file = large();
    Upstream::answering(move |request| {
        let body = if request.target() == "/file" { file.clone() } else { format!("{}", request.body.len()).into() };
        let (status, range, body) = match part_of(request, body.len()) {
            Some(from) => {
                let range = format!("Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len());
                ("206 Partial Content", range, body[from..].to_vec())
            }
            None => ("200 OK", String::new(), body),
        };
        let head =
            format!("HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\n{range}Content-Length: {}\r\n\r\n", body.len());
        if request.line().starts_with("HEAD ") { head.into_bytes() } else { [head.into_bytes(), body].concat() }
    })
}

/// Where a `Range: bytes=N-` begins.
fn part_of(request: &Received, length: usize) -> Option<usize> {
    let from = request.value("range")?.strip_prefix("bytes=")?.strip_suffix('-')?;
    from.parse().ok().filter(|from| *from < length)
}

fn start() -> (Upstream, Front) {
    let upstream = service();
    let front = Front::start(&format!(
        r#"
        [listener.clear]
        bind = "127.0.0.1:0"
        serve = "redirect_to_https"
        [[mtls]]
        match = {{ uri = "spiffe://cluster.local/ns/{{ns}}/sa/{{sa}}" }}
        subject = "{{ns}}/{{sa}}"
        [defaults]
        upstream = "{}"
        [route]
        site = {{ match = "{HOST}/{{*rest}}", accept = "api_key" }}
        services = {{ match = "{HOST}/services/{{*rest}}", accept = "mtls" }}
        "#,
        upstream.url()
    ));
    (upstream, front)
}

#[test]
fn a_large_file_arrives_whole_and_an_interrupted_download_goes_on() {
    let (upstream, front) = start();
    let (_, key) = front.key("alice", &[]);
    let (header, url, file) = (format!("X-API-Key: {key}"), front.url("/file"), front.folder().join("got"));
    for version in VERSIONS {
        let _ = std::fs::remove_file(&file);
        let fetch = |more: &[&str]| {
            // The file shall hold the body alone.
            let fixed = [version, "--no-include", "--fail", "-H", &header, "-o", "got", &url];
            front.curl(&[&fixed[..], more].concat())
        };
        assert_eq!(fetch(&[]).code, 0);
        assert!(std::fs::read(&file).unwrap() == large(), "{version}: not what was sent");

        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(1_234_567).unwrap();
        assert_eq!(fetch(&["--continue-at", "-"]).code, 0);
        assert_eq!(upstream.last().value("range"), Some("bytes=1234567-"));
        assert!(std::fs::read(&file).unwrap() == large(), "{version}: not what was sent, in two parts");

        let part = front.curl(&[
            version,
            "-H",
            &header,
            "-H",
            "Range: bytes=2999990-",
            "-o",
            "-",
            "--head",
            "-X",
            "GET",
            &url,
        ]);
        assert!(part.text.to_ascii_lowercase().contains("content-range: bytes 2999990-2999999/3000000"), "{part:?}");
    }
}

#[test]
fn an_upload_waits_for_leave_and_without_leave_is_not_sent() {
    let (upstream, front) = start();
    let (_, key) = front.key("alice", &[]);
    std::fs::write(front.folder().join("big"), large()).unwrap();
    let (header, url) = (format!("X-API-Key: {key}"), front.url("/up"));
    let upload = |header: &str| {
        // It would send without leave only after the minute that the test does not have.
        let asks =
            ["--http1.1", "-H", "Expect: 100-continue", "--expect100-timeout", "60", "-w", "\nsent %{size_upload}"];
        front.curl(&[&asks[..], &["-H", header, "--upload-file", "big", &url]].concat())
    };
    let done = upload(&header);
    assert!(done.text.starts_with("HTTP/1.1 100 Continue"), "{done:?}");
    assert!(done.text.contains("HTTP/1.1 200 OK") && done.text.ends_with("3000000\nsent 3000000"), "{done:?}");
    assert!(upstream.last().body == large());
    let refused = upload("X-API-Key: pc_live_wrong");
    assert_eq!(refused.status(), 401);
    assert!(refused.text.ends_with("\nsent 0"), "{refused:?}");

    for (version, framing) in [("--http1.1", &["-H", "Transfer-Encoding: chunked"][..]), ("--http2", &[])] {
        let fixed = [version, "-H", &header, "-H", "Expect:", "--upload-file", "big", &url];
        let done = front.curl(&[&fixed[..], framing].concat());
        assert!(done.status() == 200 && done.text.ends_with("3000000"), "{version}: {done:?}");
        assert!(upstream.last().body == large(), "{version}");
    }
    assert_eq!(upstream.received().len(), 3);
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let (_upstream, front) = start();
    let (_, key) = front.key("alice", &[]);
    let header = format!("X-API-Key: {key}");
    for version in VERSIONS {
        let answer = front.curl(&[version, "--head", "-H", &header, &front.url("/file")]);
        let head = answer.text.to_ascii_lowercase();
        assert!(answer.status() == 200 && head.contains("content-length: 3000000"), "{answer:?}");
        assert!(answer.text.ends_with("\r\n\r\n"), "{answer:?}");
        let refused = front.curl(&[version, "--head", &front.url("/file")]);
        assert!(refused.status() == 401 && refused.text.ends_with("\r\n\r\n"), "{refused:?}");
    }
}

#[test]
fn many_requests_share_one_connection() {
    let (upstream, front) = start();
    let (_, key) = front.key("alice", &[]);
    let header = format!("X-API-Key: {key}");
    for version in VERSIONS {
        let before = upstream.received().len();
        let url = front.url("/n/[1-30]");
        let report = ["-w", "\nconnects %{num_connects}\n"];
        let answers = front.curl(&[&[version, "-H", &header][..], &report, &[&url]].concat());
        assert_eq!(answers.code, 0, "{answers:?}");
        assert_eq!(answers.text.matches("connects 1").count(), 1, "{version}: {answers:?}");
        assert_eq!(answers.text.matches("connects 0").count(), 29, "{version}: {answers:?}");
        assert_eq!(upstream.received().len(), before + 30);
    }
}

#[test]
fn a_client_certificate_opens_what_no_key_does() {
    let (upstream, front) = start();
    let (_, key) = front.key("alice", &[]);
    let url = front.url("/services/orders");
    for version in VERSIONS {
        let certificate = [version, "--cert", "shop.pem", "--key", "shop.key", &url];
        assert_eq!(front.curl(&certificate).status(), 200);
        assert_eq!(upstream.last().value("x-auth-subject"), Some("shop/orders"));
        assert_eq!(front.curl(&[version, "-H", &format!("X-API-Key: {key}"), &url]).status(), 401);
        assert_eq!(front.curl(&[version, &url]).status(), 401);
    }
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn a_client_in_clear_text_is_sent_to_https_and_follows() {
    let (upstream, front) = start();
    let (_, key) = front.key("alice", &[]);
    let clear = front.serving.address("clear").port();
    // The default ports of both schemes, as they would be outside.
    let (to_clear, to_tls) = (format!("{HOST}:80:127.0.0.1:{clear}"), format!("{HOST}:443:127.0.0.1:{}", front.port()));
    let ports = ["--connect-to", &to_clear, "--connect-to", &to_tls];
    let (header, url) = (format!("X-API-Key: {key}"), format!("http://{HOST}/up?a=%20b"));
    let first = front.curl(&[&ports[..], &[&url]].concat());
    assert_eq!(first.status(), 308);
    assert!(first.text.to_ascii_lowercase().contains(&format!("location: https://{HOST}/up?a=%20b")), "{first:?}");
    assert_eq!(upstream.received().len(), 0, "nothing is served in clear text");
    let followed = front.curl(&[&ports[..], &["--location", "-H", &header, "--data", "hello", &url]].concat());
    assert!(followed.code == 0 && followed.text.contains("HTTP/2 200"), "{followed:?}");
    let seen = upstream.last();
    assert_eq!((seen.line(), &seen.body[..]), ("POST /up?a=%20b HTTP/1.1", &b"hello"[..]));
}
