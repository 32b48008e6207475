//! What the client gets to see.

use super::*;

const ASK: &str = "GET /public/ HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn an_answer_streams() {
    on_one_thread(async {
        let house = House::new().await;
        let mut client = house.say(ASK).await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        wire.say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
        client.head().await;
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            wire.say(&format!("9\r\n{event}\r\n")).await;
            client.expect(&format!("9\r\n{event}\r\n")).await;
        }
        wire.say("0\r\n\r\n").await;
        client.expect("0\r\n\r\n").await;
    })
    .await;
}

#[tokio::test]
async fn what_the_upstream_says_of_its_connection_stays_there() {
    on_one_thread(async {
        let house = House::new().await;
        let mut client = house.say(ASK).await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        wire.say(
            "HTTP/1.0 200 Fine\r\nconnection: close, x-gone\r\nx-gone: 1\r\nkeep-alive: timeout=5\r\nserver: x/1\r\n",
        )
        .await;
        wire.say("proxy-authenticate: Basic\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nok").await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 Fine\r\n"), "{head}");
        for name in ["connection", "x-gone", "keep-alive", "proxy-authenticate", "upgrade"] {
            assert!(lines(&head, name).is_empty(), "{head}");
        }
        assert_eq!(lines(&head, "server"), ["server: x/1"]);
        assert_eq!(lines(&head, "content-length"), ["content-length: 2"]);
        client.expect("ok").await;
        // The upstream's connection ended, the client's did not.
        client.say(ASK).await;
        house.origin.serve().await;
        client.head().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstreams_work() {
    on_one_thread(async {
        let house = House::new().await;
        let client = house.say(ASK).await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        drop(client);
        wire.closed().await;

        let mut client = house.say(ASK).await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        wire.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await;
        client.head().await;
        drop(client);
        wire.closed().await;

        let client = house.say("POST /public/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        wire.expect("abc").await;
        drop(client);
        wire.closed().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    on_one_thread(async {
        let house = House::new().await;
        let mut client = house.say(ASK).await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        wire.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await;
        client.head().await;
        client.expect("2\r\nok\r\n").await;
        drop(wire);
        // No last chunk: the connection just ends.
        assert_eq!(client.rest().await, "");
    })
    .await;
}

#[tokio::test]
async fn the_assertions_keys_are_public() {
    on_one_thread(async {
        let house = House::new().await;
        for (method, body) in [("GET", JWKS), ("HEAD", "")] {
            let request =
                format!("{method} /.well-known/portcullis/jwks.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let mut client = house.say(&request).await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert_eq!(lines(&head, "content-type"), ["content-type: application/jwk-set+json"]);
            assert_eq!(lines(&head, "cache-control"), ["cache-control: public, max-age=300"]);
            assert_eq!(lines(&head, "content-length"), [format!("content-length: {}", JWKS.len())]);
            assert_eq!(client.rest().await, body);
        }
    })
    .await;
}
