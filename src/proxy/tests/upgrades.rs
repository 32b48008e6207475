//! WebSockets.

use super::*;

const ASK: &str = "GET /public/ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_websocket_is_tunnelled_both_ways() {
    on_one_thread(async {
        let house = House::new().await;
        let mut client = house.say(ASK).await;
        let mut wire = house.origin.accept().await;
        let head = wire.head().await;
        assert_eq!(lines(&head, "connection"), ["connection: upgrade"]);
        assert_eq!(lines(&head, "upgrade"), ["upgrade: websocket"]);
        assert_eq!(lines(&head, "sec-websocket-key"), ["sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="]);
        wire.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n").await;
        wire.say("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello").await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(lines(&head, "connection"), ["connection: upgrade"]);
        assert_eq!(lines(&head, "sec-websocket-accept").len(), 1);
        client.expect("hello").await;
        for text in ["one", "two"] {
            client.say(text).await;
            wire.expect(text).await;
            wire.say(text).await;
            client.expect(text).await;
        }
        drop(client);
        wire.closed().await;
    })
    .await;
}

#[tokio::test]
async fn f59_what_the_client_sends_early_waits_for_the_101() {
    on_one_thread(async {
        let house = House::new().await;
        let early = "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut client = house.say(&format!("{ASK}{early}")).await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        wire.say("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno").await;
        assert!(client.head().await.starts_with("HTTP/1.1 403 "));
        client.expect("no").await;
        // It never got to the upstream; it is a request like others, and decided on as such.
        assert_eq!(wire.rest().await, "");
        assert!(client.head().await.starts_with("HTTP/1.1 401 "));

        let mut client = house.say(&format!("{ASK}{early}")).await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        wire.say("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        wire.expect(early).await;
    })
    .await;
}

#[tokio::test]
async fn f59_switching_to_another_protocol_is_a_broken_upstream() {
    on_one_thread(async {
        let house = House::new().await;
        for (ask, upgrade) in [(ASK, "h2c"), ("GET /public/ HTTP/1.1\r\nHost: a\r\n\r\n", "websocket")] {
            let mut client = house.say(ask).await;
            let mut wire = house.origin.accept().await;
            wire.head().await;
            wire.say(&format!("HTTP/1.1 101 x\r\nUpgrade: {upgrade}\r\nConnection: Upgrade\r\n\r\n")).await;
            assert!(client.head().await.starts_with("HTTP/1.1 502 "));
            wire.closed().await;
        }
    })
    .await;
}
