use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::http2::{client, get, text};
use super::{rest, run, settings, until};

#[test]
fn draining_finishes_requests_in_flight_closes_idle_connections_and_accepts_no_more() {
    run(settings(None), |server| async move {
        let mut idle = server.connect().await;
        idle.write_all(b"GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        until(&mut idle, "tls=false\n").await;
        let mut busy = server.connect().await;
        busy.write_all(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        server.teller.begun.notified().await;

        server.drain.begin();
        assert_eq!(rest(&mut idle).await, "");
        // Draining has reached the worker, which stops listening before it asks connections to end.
        let error = TcpStream::connect(server.address).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        server.teller.go.notify_one();
        let text = rest(&mut busy).await;
        assert!(text.contains("GET /wait") && text.contains("connection: close"), "{text}");
    });
}

#[test]
fn draining_says_goaway_and_finishes_streams() {
    run(settings(None), |server| async move {
        let (mut sender, ended) = client(server.connect().await).await;
        let waiting = tokio::task::spawn_local({
            let mut sender = sender.clone();
            async move { text(sender.send_request(get("http://a/wait")).await.unwrap()).await }
        });
        server.teller.begun.notified().await;
        server.drain.begin();
        server.teller.go.notify_one();
        assert_eq!(waiting.await.unwrap().0, 200);
        // The client's handle is still there: it is the server that ends the connection.
        ended.await.unwrap().unwrap();
        assert!(sender.send_request(get("http://a/")).await.is_err());
    });
}

#[test]
fn a_connection_that_was_made_before_draining_is_still_answered() {
    run(settings(None), |server| async move {
        // In the kernel's queue: the accept loop has had no turn since.
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        std::io::Write::write_all(&mut stream, b"GET /queued HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        server.drain.begin();
        stream.set_nonblocking(true).unwrap();
        let text = rest(&mut TcpStream::from_std(stream).unwrap()).await;
        assert!(text.contains("GET /queued") && text.contains("connection: close"), "{text}");
    });
}

#[test]
fn draining_waits_for_upgraded_connections() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /upgrade HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n").await.unwrap();
        until(&mut stream, "\r\n\r\n").await;
        server.drain.begin();
        stream.write_all(b"still here").await.unwrap();
        assert_eq!(until(&mut stream, "here").await, "still here");
        assert_eq!(server.listeners[0].connections(), 1);
    });
}
