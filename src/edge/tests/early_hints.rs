use std::future::poll_fn;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http2::get;
use super::{rest, run, settings};

/// More than the buffers of a connection hold.
pub(super) const LONG: usize = 32 << 20;

const HINT: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";

/// What comes up to `end`, and not a byte more.
async fn next(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn hints_are_there_before_the_answer() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        for _ in 0..2 {
            stream.write_all(b"GET /hints HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            assert_eq!(next(&mut stream, "\r\n\r\n").await, HINT);
            server.teller.go.notify_one();
            assert!(next(&mut stream, "tls=false\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
        }
    });
}

#[test]
fn hints_of_pipelined_requests_stand_before_the_answers_that_they_belong_to() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        let request = "GET /hints HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request.repeat(2).as_bytes()).await.unwrap();
        stream.write_all(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        for _ in 0..2 {
            assert_eq!(next(&mut stream, "\r\n\r\n").await, HINT);
            server.teller.go.notify_one();
            let answer = next(&mut stream, "tls=false\n").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("GET /hints"), "{answer}");
        }
        let last = rest(&mut stream).await;
        assert!(last.starts_with("HTTP/1.1 200 OK\r\n") && last.contains("GET /last"), "{last}");
    });
}

#[test]
fn a_hint_stands_behind_100_continue_or_before_it() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        let head = b"POST /hints HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        stream.write_all(head).await.unwrap();
        assert_eq!(next(&mut stream, "\r\n\r\n").await, HINT);
        server.teller.go.notify_one();
        assert_eq!(next(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"ok").await.unwrap();
        assert!(next(&mut stream, "tls=false\n").await.contains("body=ok"));
    });
}

/// hyper hands over a request while it still has the answer to the one before to write, if that came early.
#[test]
fn f58_a_hint_never_stands_within_the_answer_before() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        stream.write_all(b"POST /early-and-long HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").await.unwrap();
        next(&mut stream, "HTTP/1.1 204").await;
        stream.write_all(b"restGET /hints HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        // The answer waits for its client to read it.
        server.teller.begun.notified().await;
        next(&mut stream, "long: ").await;
        let mut value = vec![0; LONG];
        stream.read_exact(&mut value).await.unwrap();
        assert!(value.iter().all(|byte| *byte == b'x'));
        assert!(!next(&mut stream, "\r\n\r\n").await.contains("103"));
        assert_eq!(next(&mut stream, "\r\n\r\n").await, HINT);
        server.teller.go.notify_one();
        assert!(next(&mut stream, "tls=false\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    });
}

#[test]
fn clients_of_http_1_0_get_no_hints() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /hints HTTP/1.0\r\n\r\n").await.unwrap();
        server.teller.begun.notified().await;
        server.teller.go.notify_one();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && !answer.contains("103"), "{answer}");
    });
}

#[test]
fn over_http_2_hints_are_there_before_the_answer_and_none_behind_its_head() {
    run(settings(None), |server| async move {
        let (mut sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
        tokio::task::spawn_local(connection);
        let (mut answer, _) = sender.send_request(get("http://a/hints").map(|_| ()), true).unwrap();
        let hint = poll_fn(|cx| answer.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!((hint.status().as_u16(), hint.headers().len()), (103, 1));
        assert_eq!(hint.headers()["link"], "</a>");
        server.teller.go.notify_one();
        assert_eq!(answer.await.unwrap().status(), 200);

        let mut stream = server.connect().await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        // GET, http, /late, and an authority.
        stream.write_all(b"\0\0\x0c\x01\x05\0\0\0\x01\x82\x86\x04\x05/late\x01\x01a").await.unwrap();
        let mut kinds = Vec::new();
        while kinds.last() != Some(&(0, 1)) {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut payload).await.unwrap();
            if head[5..] == [0, 0, 0, 1] {
                kinds.push((head[3], head[4] & 1));
            }
        }
        // HEADERS, and DATA up to its end.
        assert!(kinds.iter().filter(|(kind, _)| *kind == 1).count() == 1 && kinds[0].0 == 1, "{kinds:?}");
    });
}
