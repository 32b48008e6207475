//! What is written of a request, and what is not.

use std::io::Write;
use std::sync::Mutex;

use tracing::subscriber::DefaultGuard;

use super::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Of everything on this thread, down to the least word.
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The access log's lines.
    fn lines(&self) -> Vec<serde_json::Value> {
        let lines = self.text();
        let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["target"] == "portcullis::access").map(|line| line["fields"].clone()).collect()
    }
}

#[tokio::test]
async fn a_line_says_who_did_what_and_no_secret() {
    let (log, _guard) = Log::start();
    on_one_thread(async {
        let house = House::new().await;
        let token = token("alice");
        let key = "pc_test_0123456789_canary";
        for (credential, path) in [
            (format!("Authorization: Bearer {token}"), "/orders"),
            (format!("Authorization: Bearer {token}x"), "/orders"),
            (format!("Authorization: Bearer {key}"), "/orders"),
            (format!("X-Api-Key: {key}\r\nCookie: __Host-session=canary"), "/public/%0d%0aforged"),
            (format!("X-Api-Key: {key}\r\nCookie: __Host-session=canary"), "/public/x"),
        ] {
            let request = format!(
                "GET {path}?token=canary HTTP/1.1\r\nHost: a\r\nConnection: close\r\nProxy-Authorization: canary\r\n\
                 {credential}\r\n\r\n"
            );
            let mut client = house.say(&request).await;
            tokio::select! {
                head = client.head() => drop(head),
                mut wire = house.origin.serve() => { client.head().await; wire.say("").await; }
            }
            client.closed().await;
        }
        let (_, signature) = token.rsplit_once('.').unwrap();
        let text = log.text();
        assert!(!text.contains("canary") && !text.contains(signature), "{text}");
    })
    .await;
    let lines = log.lines();
    let of = |name: &str| lines.iter().map(|line| line[name].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>();
    assert_eq!(of("subject"), ["alice", "-", "-", "-", "-"]);
    assert_eq!(of("route"), ["app", "app", "app", "-", "public"]);
    assert_eq!(of("path"), ["/orders", "/orders", "/orders", "/public/%0d%0aforged", "/public/x"]);
    assert_eq!(of("message"), ["served", "denied", "denied", "denied", "served"]);
    assert_eq!((of("denial")[0].as_str(), of("denial")[3].as_str()), ("-", "control_character"));
    assert_eq!(of("credential")[0], "jwt");
    assert_eq!(of("client"), ["127.0.0.1"; 5]);
    assert!(lines.iter().all(|line| line["duration_us"].is_u64() && line["decision_id"].is_string()));
}

#[tokio::test]
async fn leaving_early_hides_nothing() {
    let (log, _guard) = Log::start();
    on_one_thread(async {
        let house = House::new().await;
        let request = format!("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", token("alice"));
        let client = house.say(&request).await;
        let mut wire = house.origin.accept().await;
        wire.head().await;
        drop(client);
        wire.closed().await;
    })
    .await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["message"], &lines[0]["status"]), (&"client left".into(), &499.into()));
    assert_eq!(lines[0]["subject"], "alice");
}
