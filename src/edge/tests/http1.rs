use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::{rest, run, settings, until};
use crate::edge::framing::corpus;

const CLOSE: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[test]
fn requests_are_answered_one_after_the_other_and_pipelined() {
    run(settings(None), |server| async move {
        let one = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz";
        let two =
            "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\nT: u\r\n\r\n";
        let text = server.exchange(format!("{one}{two}{CLOSE}")).await;
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
        let (a, b) = (
            text.find("POST /a HTTP/1.1 body=xyz trailers=0").unwrap(),
            text.find("POST /b HTTP/1.1 body=abc").unwrap(),
        );
        assert!(a < b && b < text.find("GET /last").unwrap(), "{text}");
        assert!(text.contains("date: "), "{text}");
    });
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        stream.set_nodelay(true).unwrap();
        let request = format!("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok{CLOSE}");
        for byte in request.as_bytes() {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let text = rest(&mut stream).await;
        assert!(text.contains("POST /slow HTTP/1.1 body=ok") && text.contains("GET /last"), "{text}");
    });
}

#[test]
fn http_1_0_is_answered_and_closed() {
    run(settings(None), |server| async move {
        let text = server.exchange("GET /old HTTP/1.0\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.0 200") && text.contains("GET /old HTTP/1.0"), "{text}");
    });
}

#[test]
fn f08_f16_f58_refused_heads_are_answered_by_the_handler_and_nothing_after_them_is_read() {
    let mut settings = settings(None);
    settings.limits.max_header_bytes = corpus::LIMITS.max_head_bytes;
    settings.limits.max_headers = corpus::LIMITS.max_fields;
    run(settings, |server| async move {
        for (head, reason) in corpus::REFUSE {
            if head.starts_with("PRI * HTTP/2.0") {
                continue;
            }
            let text = server.exchange(format!("GET /first HTTP/1.1\r\nHost: a\r\n\r\n{head}{CLOSE}")).await;
            let row = reason.row();
            assert!(text.starts_with("HTTP/1.1 200 OK") && text.contains("GET /first"), "{head:?}: {text}");
            let second = &text[text.rfind("HTTP/1.1 ").unwrap()..];
            assert!(second.starts_with(&format!("HTTP/1.1 {} ", row.status)), "{head:?}: {text}");
            assert!(second.contains("connection: close") && second.ends_with(row.label), "{head:?}: {text}");
            assert!(!text.contains("/last"), "{head:?}: {text}");
        }
    });
}

#[test]
fn f11_what_stands_in_for_a_refused_head_is_nothing_that_a_client_can_use() {
    run(settings(None), |server| async move {
        let text = server.exchange("REFUSED * HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.1 400") && text.ends_with("target_form"), "{text}");
    });
}

#[test]
fn f61_too_many_fields_and_too_long_heads_are_431() {
    run(settings(None), |server| async move {
        let fields = |n| format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\n", "X: y\r\n".repeat(n));
        assert!(server.exchange(fields(98)).await.starts_with("HTTP/1.1 200"));
        assert!(server.exchange(fields(99)).await.starts_with("HTTP/1.1 431"));
        let long = |n| format!("GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "x".repeat(n));
        assert!(server.exchange(long(16 * 1024 - 60)).await.starts_with("HTTP/1.1 200"));
        assert!(server.exchange(long(16 * 1024)).await.starts_with("HTTP/1.1 431"));
        assert!(server.exchange(format!("GET /{}", "x".repeat(64 * 1024))).await.starts_with("HTTP/1.1 431"));
    });
}

#[test]
fn more_fields_than_hyper_expects_can_be_allowed() {
    let mut settings = settings(None);
    settings.limits.max_headers = 300;
    run(settings, |server| async move {
        let text = server
            .exchange(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\n", "X: y\r\n".repeat(298)))
            .await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    });
}

#[test]
fn f58_a_body_with_broken_chunks_ends_the_connection() {
    run(settings(None), |server| async move {
        let head = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let text = server.exchange(format!("{head}3\r\nabc\n0\r\n\r\n{CLOSE}")).await;
        assert!(!text.contains("/last") && !text.contains("200 OK"), "{text}");
    });
}

#[test]
fn an_answer_before_the_end_of_the_body_reaches_the_client() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        let length = 4 * 1024 * 1024;
        stream
            .write_all(format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        stream.write_all(&vec![b'x'; length]).await.unwrap();
        drop(server);
        let text = until(&mut stream, "early").await;
        assert!(text.starts_with("HTTP/1.1 401"), "{text}");
    });
}

#[test]
fn f61_a_head_that_is_never_finished_is_not_waited_for() {
    let mut settings = settings(None);
    settings.limits.header_timeout = Duration::from_millis(30);
    run(settings, |server| async move {
        for begun in
            ["", "P", "PRI * HT", "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n"]
        {
            // That this comes back is the assertion.
            let text = server.exchange(begun).await;
            assert_eq!(text.contains("200 OK"), begun.contains("\r\n\r\n"), "{begun:?}: {text}");
        }
    });
}

#[test]
fn f61_a_connection_without_requests_is_closed_and_one_with_a_slow_answer_is_not() {
    let mut settings = settings(None);
    settings.limits.idle_timeout = Duration::from_millis(30);
    run(settings, |server| async move {
        let idle = server.exchange("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(idle.contains("GET /idle"), "{idle}");

        let mut slow = server.connect().await;
        slow.write_all(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        server.teller.begun.notified().await;
        // Another connection goes idle and is closed meanwhile: at least one idle_timeout has passed.
        server.exchange("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").await;
        server.exchange("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").await;
        server.teller.go.notify_one();
        let text = rest(&mut slow).await;
        assert!(text.contains("GET /wait"), "{text}");
    });
}

#[test]
fn an_upgrade_that_is_granted_passes_every_byte() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        let request = "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        // The client does not even wait for the answer.
        stream.write_all(format!("{request}GET /a#b\n\0\r\nearly").as_bytes()).await.unwrap();
        let text = until(&mut stream, "early").await;
        assert!(text.starts_with("HTTP/1.1 101") && text.ends_with("\r\n\r\nGET /a#b\n\0\r\nearly"), "{text}");
        stream.write_all(b"later").await.unwrap();
        assert_eq!(until(&mut stream, "later").await, "later");
    });
}

#[test]
fn f59_after_an_upgrade_that_is_not_granted_heads_are_guarded_again() {
    run(settings(None), |server| async move {
        let request = "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        let text = server.exchange(format!("{request}{CLOSE}")).await;
        assert!(text.contains("GET /plain") && text.contains("GET /last"), "{text}");

        let text = server.exchange(format!("{request}GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n{CLOSE}")).await;
        assert!(text.contains("GET /plain") && text.ends_with("fragment"), "{text}");

        // Also where the rest comes after the answer.
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        until(&mut stream, "tls=false\n").await;
        stream.write_all(b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(rest(&mut stream).await.ends_with("fragment"));
    });
}

#[test]
fn a_handler_that_panics_costs_its_own_connection_only() {
    run(settings(None), |server| async move {
        let mut other = server.connect().await;
        other.write_all(b"GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        server.teller.begun.notified().await;
        assert_eq!(server.exchange("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await, "");
        server.teller.go.notify_one();
        assert!(rest(&mut other).await.contains("GET /wait"));
        assert_eq!(server.listeners[0].connections(), 0);
    });
}
