//! Upstreams that are told whose a connection is.

use super::*;
use crate::model::settings::ProxyProtocol;

#[tokio::test]
async fn each_connection_names_its_client_and_is_nobody_elses() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let settings = settings(vec![origin.endpoint()]);
        let port = origin.endpoint().port;
        let upstream = upstream(UpstreamSettings { proxy_protocol: Some(ProxyProtocol::V1), ..settings });
        let mut wires = Vec::new();
        for _ in 0..2 {
            let request = forwarding(&upstream, get());
            let mut wire = origin.accept().await;
            wire.expect(&format!("PROXY TCP4 192.0.2.7 127.0.0.1 4711 {port}\r\n")).await;
            wire.expect("GET /a?b=%2e HTTP/1.1\r\n").await;
            wire.head().await;
            wire.say(OK).await;
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
            wires.push(wire);
        }
        for wire in wires {
            wire.closed().await;
        }
    })
    .await;
}

#[tokio::test]
async fn it_comes_before_tls() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let served = tls::Served::new("127.0.0.1", &["h2", "http/1.1"]);
        let settings = UpstreamSettings { proxy_protocol: Some(ProxyProtocol::V2), ..served.settings(&origin) };
        let request = forwarding(&upstream(settings), get());
        let mut wire = origin.accept().await;
        let mut header = [0; 28];
        wire.0.read_exact(&mut header).await.unwrap();
        assert_eq!((&header[12..16], &header[16..24]), (&[0x21, 0x11, 0, 12][..], &[192, 0, 2, 7, 127, 0, 0, 1][..]));
        let mut wire = Wire(served.acceptor.accept(wire.0).await.unwrap());
        wire.head().await;
        wire.say(OK).await;
        assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
    })
    .await;
}
