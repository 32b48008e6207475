//! Endpoints that are Unix sockets.

use tokio::net::UnixListener;

use super::*;
use crate::model::denial::Reason;

#[tokio::test]
async fn a_unix_socket_is_spoken_to_in_http_1_1() {
    for (host_header, host) in [(HostHeader::Preserve, "a.example"), (HostHeader::Endpoint, "localhost")] {
        on_one_thread(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("app.sock");
            let endpoint = Endpoint { scheme: Scheme::Unix, host: path.to_str().unwrap().into(), port: 0, weight: 1 };
            let upstream = upstream(UpstreamSettings { host_header, ..settings(vec![endpoint]) });
            let why = forward(&upstream, get()).await.unwrap_err();
            assert_eq!(why.reason, Reason::UpstreamUnreachable);
            assert!(why.detail.unwrap().contains("app.sock"));

            let listener = UnixListener::bind(&path).unwrap();
            let request = forwarding(&upstream, get());
            let mut wire = Wire(listener.accept().await.unwrap().0);
            assert_eq!(wire.head().await, format!("GET /a?b=%2e HTTP/1.1\r\nhost: {host}\r\n\r\n"));
            wire.say(OK).await;
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
            assert_eq!(upstream.counts(), (1, 1));
        })
        .await;
    }
}
