//! Refusals on the wire.

use super::*;

async fn refused(house: &House, request: &str) -> (String, String) {
    let mut client = house.say(request).await;
    (client.head().await, client.rest().await)
}

#[tokio::test]
async fn f38_without_a_credential_or_with_a_random_one_there_is_only_a_challenge() {
    on_one_thread(async {
        let house = House::new().await;
        let forged = {
            let token = token("alice");
            let (input, _) = token.rsplit_once('.').unwrap();
            format!("Authorization: Bearer {input}.{}\r\n", URL_SAFE_NO_PAD.encode([7; 32]))
        };
        for (credential, error, code) in [
            ("", "", "credential_missing"),
            (&*forged, ", error=\"invalid_token\"", "invalid_token"),
            ("Authorization: Bearer a.b.c\r\n", ", error=\"invalid_token\"", "invalid_token"),
        ] {
            let request = format!("GET /secret?q=canary HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{credential}\r\n");
            let (head, body) = refused(&house, &request).await;
            assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
            let error_of_dpop = if error.is_empty() { "" } else { "error=\"invalid_token\", " };
            let dpop = format!("{error_of_dpop}algs=\"ES256 EdDSA\"");
            assert_eq!(
                lines(&head, "www-authenticate"),
                [
                    format!("www-authenticate: Bearer realm=\"portcullis\"{error}"),
                    format!("www-authenticate: DPoP {dpop}")
                ]
            );
            assert_eq!(lines(&head, "content-type"), ["content-type: application/problem+json"]);
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["type"], format!("urn:portcullis:{code}"));
            assert_eq!(
                lines(&head, "x-request-id"),
                [format!("x-request-id: {}", problem["decision_id"].as_str().unwrap())]
            );
            assert!(!body.contains("canary"));
        }
    })
    .await;
}

#[tokio::test]
async fn f58_what_can_be_read_in_two_ways_is_refused_and_its_connection_closed() {
    on_one_thread(async {
        let house = House::new().await;
        for (request, status) in [
            ("POST /public/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400),
            ("GET /public/../secret HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /public/%2e%2e/secret HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /public/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET /public/ HTTP/1.1\r\n\r\n", 400),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
            ("TRACE /public/ HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ] {
            let (head, _) = refused(&house, request).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{head}");
            assert_eq!(lines(&head, "connection"), ["connection: close"], "{request}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_grpc_client_gets_a_grpc_status() {
    on_one_thread(async {
        let house = House::new().await;
        let request = "POST /pkg.Service/Method HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc+proto\r\n\
            Connection: close\r\nContent-Length: 0\r\n\r\n";
        let (head, body) = refused(&house, request).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(lines(&head, "grpc-status"), ["grpc-status: 16"]);
        assert_eq!(body, "");
    })
    .await;
}

#[tokio::test]
async fn a_broken_upstream_is_502_without_a_word_about_it() {
    on_one_thread(async {
        let house = House::new().await;
        let mut client = house.say("GET /public/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        wire.say("canary\r\n\r\n").await;
        let head = client.head().await;
        let body = client.rest().await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        let port = house.origin.endpoint().port.to_string();
        assert!(!body.contains("canary") && !body.contains(&port), "{body}");
        assert_eq!(lines(&head, "cache-control"), ["cache-control: no-store"]);
    })
    .await;
}

#[tokio::test]
async fn a_silent_upstream_is_504() {
    on_one_thread(async {
        let house = House::with(|_| {}, |up| up.timeouts.response = Duration::from_millis(20)).await;
        let (head, _) = refused(&house, "GET /public/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    })
    .await;
}
