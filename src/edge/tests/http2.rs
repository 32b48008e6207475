use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{run, settings};

#[derive(Clone)]
struct Local;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Speaks HTTP/2 over a stream; the handle ends with the connection.
pub(super) async fn client(
    io: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> (SendRequest<Empty<Bytes>>, tokio::task::JoinHandle<hyper::Result<()>>) {
    let (sender, connection) = handshake(Local, TokioIo::new(io)).await.unwrap();
    (sender, tokio::task::spawn_local(connection))
}

pub(super) fn get(uri: &str) -> Request<Empty<Bytes>> {
    Request::builder().uri(uri).version(Version::HTTP_2).body(Empty::new()).unwrap()
}

pub(super) async fn text(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

#[test]
fn http_2_is_spoken_in_clear_to_those_who_begin_with_it() {
    run(settings(None), |server| async move {
        let (mut sender, _) = client(server.connect().await).await;
        let (status, body) = text(sender.send_request(get("http://a/x")).await.unwrap()).await;
        assert_eq!(status, 200);
        assert!(body.starts_with("GET http://a/x HTTP/2.0"), "{body}");
    });
}

#[test]
fn the_preface_may_arrive_byte_by_byte_and_is_not_taken_from_others() {
    run(settings(None), |server| async move {
        let mut stream = server.connect().await;
        stream.set_nodelay(true).unwrap();
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        // An empty SETTINGS frame, then GOAWAY: the server answers with frames and closes.
        stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        stream.write_all(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0").await.unwrap();
        let mut frames = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut frames).await.unwrap();
        assert_eq!(frames.get(3), Some(&4), "SETTINGS comes first: {frames:?}");

        let text = server.exchange("PROPFIND / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert!(text.contains("PROPFIND / HTTP/1.1"), "{text}");
    });
}

#[test]
fn f57_f58_what_http_2_may_leave_open_is_refused() {
    let mut settings = settings(None);
    settings.limits.max_headers = 10;
    run(settings, |server| async move {
        let (mut sender, _) = client(server.connect().await).await;
        let mut crumbs = get("http://a/");
        for _ in 0..11 {
            crumbs.headers_mut().append("cookie", "a=b".parse().unwrap());
        }
        assert_eq!(text(sender.send_request(crumbs).await.unwrap()).await, (431, "head_too_large".to_owned()));

        let mut hosts = get("http://a/");
        hosts.headers_mut().append("host", "b".parse().unwrap());
        assert_eq!(text(sender.send_request(hosts).await.unwrap()).await, (400, "invalid_host".to_owned()));

        // The connection goes on.
        assert_eq!(text(sender.send_request(get("http://a/")).await.unwrap()).await.0, 200);
    });
}

#[test]
fn f57_a_list_of_fields_beyond_the_limit_is_refused_before_it_is_kept() {
    run(settings(None), |server| async move {
        let (mut sender, _) = client(server.connect().await).await;
        let mut large = get("http://a/");
        large.headers_mut().append("x", "y".repeat(20_000).parse().unwrap());
        match sender.send_request(large).await {
            Ok(response) => assert_eq!(response.status(), 431),
            Err(error) => assert!(!error.is_canceled(), "{error}"),
        }
    });
}

#[test]
fn f61_an_idle_connection_is_closed() {
    let mut settings = settings(None);
    settings.limits.idle_timeout = std::time::Duration::from_millis(30);
    run(settings, |server| async move {
        let (mut sender, ended) = client(server.connect().await).await;
        assert_eq!(text(sender.send_request(get("http://a/")).await.unwrap()).await.0, 200);
        ended.await.unwrap().unwrap();
    });
}

#[test]
fn f61_a_connection_that_never_asks_is_closed() {
    let mut settings = settings(None);
    settings.limits.header_timeout = std::time::Duration::from_millis(30);
    run(settings, |server| async move {
        let mut silent = server.connect().await;
        silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut frames = Vec::new();
        // End or reset: that it comes is the assertion.
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut silent, &mut frames).await;
    });
}

#[test]
fn a_handler_that_panics_costs_its_own_stream_only() {
    run(settings(None), |server| async move {
        let (mut sender, _) = client(server.connect().await).await;
        assert!(sender.send_request(get("http://a/panic")).await.is_err());
        assert_eq!(text(sender.send_request(get("http://a/")).await.unwrap()).await.0, 200);
        let text = server.exchange("GET / HTTP/1.0\r\n\r\n").await;
        assert!(text.contains("200 OK"), "{text}");
    });
}
