use std::time::Duration;

use super::*;
use crate::model::settings::Statuses;
use crate::upstream::testing::{Origin, Wire, on_one_thread};

fn how() -> HealthCheck {
    HealthCheck {
        path: "/healthz?deep=1".into(),
        host: None,
        interval: Duration::from_secs(5),
        jitter: 0,
        timeout: Duration::from_secs(30),
        healthy: 1,
        unhealthy: 1,
        pass: Statuses(vec![200..=299, 401..=401]),
    }
}

/// What a check says of an endpoint that answers so.
async fn of(answer: impl AsyncFnOnce(Wire)) -> Result<(), String> {
    with(&how(), answer).await
}

async fn with(how: &HealthCheck, answer: impl AsyncFnOnce(Wire)) -> Result<(), String> {
    on_one_thread(async {
        let origin = Origin::new().await;
        let endpoint = origin.endpoint();
        let answering = async {
            let mut wire = origin.accept().await;
            wire.head().await;
            answer(wire).await;
        };
        tokio::join!(check(&endpoint, None, None, how), answering).0
    })
    .await
}

async fn saying(answer: &str) -> Result<(), String> {
    of(async |mut wire: Wire| wire.say(answer).await).await
}

#[tokio::test]
async fn an_endpoint_that_speaks_http_2_is_asked_in_it() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let endpoint = Endpoint { scheme: Scheme::H2c, ..origin.endpoint() };
        let how = how();
        let answering = async {
            let mut connection = h2::server::handshake(origin.accept().await.0).await.unwrap();
            let (request, mut respond) = connection.accept().await.unwrap().unwrap();
            assert_eq!(request.uri().path_and_query().unwrap(), "/healthz?deep=1");
            let answer = http::Response::builder().status(503).body(()).unwrap();
            let _: h2::SendStream<Bytes> = respond.send_response(answer, true).unwrap();
            while connection.accept().await.is_some() {}
        };
        assert_eq!(tokio::join!(check(&endpoint, None, None, &how), answering).0, Err("status 503".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_check_is_a_get_on_a_connection_of_its_own() {
    let endpoint_name = on_one_thread(async {
        let origin = Origin::new().await;
        let endpoint = origin.endpoint();
        let how = how();
        let answering = async {
            let mut wire = origin.accept().await;
            let head = wire.head().await;
            wire.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            wire.closed().await;
            head
        };
        let (outcome, head) = tokio::join!(check(&endpoint, None, None, &how), answering);
        assert_eq!(outcome, Ok(()));
        let name = endpoint.authority();
        let lines = format!(
            "GET /healthz?deep=1 HTTP/1.1\r\nhost: {name}\r\nuser-agent: portcullis\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(head, lines);
        name
    })
    .await;
    let named = HealthCheck { host: Some("orders.internal".into()), ..how() };
    let endpoint = Endpoint { scheme: Scheme::Http, host: "h".into(), port: 1, weight: 1 };
    assert_eq!(request(&endpoint, &named).unwrap().headers()[HOST], "orders.internal");
    assert_ne!(endpoint_name, "orders.internal");
}

#[tokio::test]
async fn statuses_decide() {
    for status in ["200 OK", "204 No Content", "299 Well", "401 Unauthorized"] {
        assert_eq!(saying(&format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await, Ok(()), "{status}");
    }
    for status in ["302 Found", "404 Not Found", "503 Service Unavailable"] {
        let outcome = saying(&format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(outcome, Err(format!("status {}", &status[..3])));
    }
}

#[tokio::test]
async fn what_is_no_answer_fails() {
    for garbage in
        ["", "SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 200", "\0\0\0", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal"]
    {
        let outcome = saying(garbage).await.unwrap_err();
        assert!(outcome.starts_with("no valid answer"), "{garbage:?}: {outcome}");
    }
}

#[tokio::test]
async fn what_never_ends_is_cut_off() {
    let hurried = HealthCheck { timeout: Duration::from_millis(30), ..how() };
    let silent = with(&hurried, async |wire: Wire| wire.closed().await).await;
    assert_eq!(silent, Err("no answer within 30ms".to_owned()));
    let begun = async |mut wire: Wire| {
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal").await;
        wire.closed().await;
    };
    assert_eq!(with(&hurried, begun).await, Err("no answer within 30ms".to_owned()));

    let endless_head = async |mut wire: Wire| {
        let _ = wire.0.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while wire.0.write_all(b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n").await.is_ok() {}
    };
    assert!(of(endless_head).await.unwrap_err().starts_with("no valid answer"));
    let endless_body = async |mut wire: Wire| {
        let _ = wire.0.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while wire.0.write_all(&[b'x'; 4096]).await.is_ok() {}
    };
    assert_eq!(of(endless_body).await, Ok(()), "it has said enough");
}

#[tokio::test]
async fn nobody_there_fails() {
    let endpoint = Origin::new().await.endpoint();
    assert!(check(&endpoint, None, None, &how()).await.is_err());
}
