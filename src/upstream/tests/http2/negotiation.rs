//! Which HTTP is spoken over TLS.

use super::super::tls::Served;
use super::*;
use crate::model::settings::HttpVersion;

/// What is agreed with an origin that speaks these.
async fn agreed(http: HttpVersion, protocols: &[&str], request: Request<Full<Bytes>>) -> Result<&'static str, Denial> {
    on_one_thread(async {
        let origin = Origin::new().await;
        let served = Served::new("127.0.0.1", protocols);
        let request = forwarding(&upstream(UpstreamSettings { http, ..served.settings(&origin) }), request);
        let Ok(stream) = served.acceptor.accept(origin.accept().await.0).await else {
            return Err(request.await.unwrap().unwrap_err());
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let mut peer = Peer::on(stream, &Builder::new()).await;
            let asked = peer.asked().await;
            assert_eq!(asked.request.uri().scheme_str(), Some("https"));
            asked.answer();
            request.await.unwrap()?;
            return Ok("2");
        }
        let mut wire = Wire(stream);
        let head = async {
            wire.head().await;
            wire.say(OK).await;
        };
        let (answer, ()) = tokio::join!(request, head);
        answer.unwrap()?;
        Ok("1.1")
    })
    .await
}

#[tokio::test]
async fn http_2_is_spoken_where_both_agree_and_no_request_needs_otherwise() {
    let plain = || get().map(|_| Full::default());
    let mut upgrade = plain();
    upgrade.headers_mut().insert("connection", "upgrade".parse().unwrap());
    upgrade.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    let mut bound = plain();
    bound.headers_mut().insert("authorization", "NTLM abc".parse().unwrap());
    let both = &["h2", "http/1.1"][..];
    for (http, protocols, request, spoken) in [
        (HttpVersion::Auto, both, plain(), "2"),
        (HttpVersion::Auto, &["h2"], plain(), "2"),
        (HttpVersion::Auto, &["http/1.1"], plain(), "1.1"),
        (HttpVersion::Auto, &[], plain(), "1.1"),
        (HttpVersion::Auto, both, upgrade.clone(), "1.1"),
        (HttpVersion::Auto, both, bound, "1.1"),
        (HttpVersion::Http1, both, plain(), "1.1"),
        (HttpVersion::Http2, both, plain(), "2"),
    ] {
        assert_eq!(agreed(http, protocols, request).await.unwrap(), spoken, "{http:?} {protocols:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_to_speak_http_2_and_does_not_is_sent_nothing() {
    for protocols in [&["http/1.1"][..], &[]] {
        on_one_thread(async {
            let origin = Origin::new().await;
            let served = Served::new("127.0.0.1", protocols);
            let settings = UpstreamSettings { http: HttpVersion::Http2, ..served.settings(&origin) };
            let request = forwarding(&upstream(settings), get());
            if let Ok(stream) = served.acceptor.accept(origin.accept().await.0).await {
                assert_eq!(Wire(stream).rest().await, "");
            }
            assert_eq!(request.await.unwrap().unwrap_err().reason, Reason::UpstreamUnreachable);
        })
        .await;
    }
}

#[tokio::test]
async fn what_switches_protocols_finds_no_endpoint_that_speaks_http_2_alone() {
    on_one_thread(async {
        let (_origin, settings) = http2().await;
        let mut request = get();
        request.headers_mut().insert("upgrade", "websocket".parse().unwrap());
        assert_eq!(forward(&upstream(settings), request).await.unwrap_err().reason, Reason::UpstreamFailed);
    })
    .await;
}

#[tokio::test]
async fn a_connection_of_http_2_carries_no_request_either_once_its_certificate_has_expired() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let served = Served::new("127.0.0.1", &["h2"]);
        let upstream = upstream(served.settings(&origin));
        let mut peers = Vec::new();
        for round in 0..2 {
            let request = forwarding(&upstream, get());
            let stream = served.acceptor.accept(origin.accept().await.0).await.unwrap();
            let mut peer = Peer::on(stream, &Builder::new()).await;
            peer.asked().await.answer();
            assert_eq!(text(request.await.unwrap().unwrap()).await, "ok", "{round}");
            peers.push(peer);
            let slots = upstream.pools()[0].slots();
            assert_eq!(slots.len(), 1, "{round}");
            assert!(slots[0].left().is_some());
            slots[0].lasts(Duration::ZERO);
        }
    })
    .await;
}
