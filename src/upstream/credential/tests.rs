use futures_util::future::join_all;
use http::HeaderValue;
use tokio::task::LocalSet;

use super::*;
use crate::crypto::testing::{Answer, KeyServer, ManualClock};
use crate::model::settings::TokenEndpointSettings;
use crate::model::{Secret, SystemEntropy};

fn oauth2(url: &str, timeout: Duration) -> CredentialSource {
    CredentialSource::ClientCredentials(Arc::new(TokenEndpointSettings {
        url: url.to_owned(),
        client_id: "gate".to_owned(),
        client_auth: TokenClientAuth::Post(Secret::new("canary-secret".to_owned())),
        scopes: Vec::new(),
        audience: None,
        ca: None,
        timeout,
    }))
}

fn issued(token: &str) -> Answer {
    Answer::Json(format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":600}}"))
}

fn credential(header: &str, scheme: Option<&str>, source: CredentialSource) -> (Arc<Credential>, Arc<ManualClock>) {
    let clock = ManualClock::new();
    let settings = CredentialSettings { header: header.parse().unwrap(), scheme: scheme.map(Arc::from), source };
    let made_of = MadeOf::new(&settings, None);
    let made = Credential::new(&Arc::from("up"), made_of, clock.clone(), Arc::new(SystemEntropy));
    (Arc::new(made.unwrap()), clock)
}

fn bearer(source: CredentialSource) -> (Arc<Credential>, Arc<ManualClock>) {
    credential("authorization", Some("Bearer"), source)
}

async fn shown(credential: &Credential) -> Result<String, Denial> {
    credential.current().await.map(|held| held.value.to_str().unwrap().to_owned())
}

/// Why there is nothing to show, and after how many seconds to come back.
async fn refused(credential: &Credential) -> u64 {
    let denial = shown(credential).await.unwrap_err();
    assert_eq!(denial.reason, Reason::UpstreamCredentialUnavailable);
    assert!(!denial.detail.unwrap_or_default().contains("canary"));
    denial.retry_after.unwrap().as_secs()
}

#[tokio::test]
async fn f02_no_other_spelling_of_the_header_goes_along() {
    let (credential, _) = credential("x-api-key", None, CredentialSource::Fixed(Secret::new(b"own".to_vec())));
    let mut headers = HeaderMap::new();
    for name in ["x-api-key", "x_api_key", "x.api.key", "x-api_key", "x-api-keys", "authorization"] {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("evil"));
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("evil too"));
    }
    let held = credential.current().await.unwrap();
    credential.show(&held, &mut headers);
    assert_eq!(headers.get_all("x-api-key").iter().collect::<Vec<_>>(), ["own"]);
    assert!(headers["x-api-key"].is_sensitive(), "never in a table of HPACK, nor in a log");
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "x-api-key", "x-api-keys"]);
}

#[tokio::test]
async fn many_requests_wait_for_one_token_and_one_call() {
    let server = KeyServer::start(issued("one")).await;
    let (credential, _) = bearer(oauth2(&format!("{}/keys", server.origin), Duration::from_secs(20)));
    LocalSet::new()
        .run_until(async {
            let waiting = join_all((0..100).map(|_| shown(&credential)));
            let keeping = credential.clone();
            let keeper = tokio::task::spawn_local(async move { keeping.keep().await });
            assert!(waiting.await.into_iter().all(|shown| shown.unwrap() == "Bearer one"));
            assert_eq!(server.requests(), 1);
            keeper.abort();
        })
        .await;
}

#[tokio::test]
async fn a_request_waits_for_a_token_no_longer_than_a_call_may_take() {
    let (credential, _) = bearer(oauth2("http://127.0.0.1:1/", Duration::from_millis(20)));
    assert_eq!(refused(&credential).await, 1, "nobody fetches one");
}

#[tokio::test]
async fn an_endpoint_that_fails_is_spared_and_its_last_token_counts_to_its_end() {
    let server = KeyServer::start(Answer::Status(500)).await;
    let (credential, clock) = bearer(oauth2(&format!("{}/keys", server.origin), Duration::from_secs(20)));
    let second = Duration::from_secs(1);
    for _ in 0..8 {
        credential.renew().await;
    }
    assert!((30..=60).contains(&refused(&credential).await), "as long as the next call is away");
    assert_eq!(server.requests(), 8, "no request causes a call");
    server.answer("/keys", issued("good"));
    credential.renew().await;
    let due = credential.state.load().next - clock.elapsed();
    assert!((420 * second..=480 * second).contains(&due), "{due:?}");
    assert_eq!(shown(&credential).await.unwrap(), "Bearer good");

    server.answer("/keys", Answer::Status(503));
    clock.advance(594 * second);
    credential.renew().await;
    assert_eq!(shown(&credential).await.unwrap(), "Bearer good", "an outage takes nothing away that still counts");
    clock.advance(second);
    refused(&credential).await;
    server.answer("/keys", issued("new"));
    credential.renew().await;
    assert_eq!(shown(&credential).await.unwrap(), "Bearer new");
    let (good, bad) = (credential.renewed.load(Relaxed), credential.failed.load(Relaxed));
    assert_eq!((good, bad), (2, 9));
}

#[tokio::test]
async fn an_upstream_that_refuses_makes_us_ask_only_so_often() {
    let server = KeyServer::start(issued("one")).await;
    let (credential, clock) = bearer(oauth2(&format!("{}/keys", server.origin), Duration::from_secs(20)));
    LocalSet::new()
        .run_until(async {
            let keeping = credential.clone();
            let keeper = tokio::task::spawn_local(async move { keeping.keep().await });
            let first = credential.current().await.unwrap();
            server.answer("/keys", issued("two"));
            let others = join_all((0..50).map(|_| credential.another(&first, true))).await;
            assert!(others.iter().all(|other| other.as_ref().unwrap().value == "Bearer two"));
            assert_eq!(server.requests(), 2, "one call for all of them");
            let second = credential.current().await.unwrap();
            for _ in 0..50 {
                assert!(credential.another(&second, true).await.is_none());
                assert_eq!(credential.another(&first, true).await.unwrap().number, second.number);
            }
            assert_eq!(server.requests(), 2);
            assert_eq!(shown(&credential).await.unwrap(), "Bearer two", "what is refused goes on to count");
            clock.advance(REFUSED_PAUSE);
            server.answer("/keys", Answer::Status(500));
            assert!(credential.another(&second, true).await.is_none());
            assert_eq!(shown(&credential).await.unwrap(), "Bearer two", "and so it does where there is no other");
            assert_eq!(server.requests(), 3);
            keeper.abort();
        })
        .await;
}

#[tokio::test]
async fn a_file_is_read_again_and_what_was_good_counts_a_little_longer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let write = |text: &[u8]| {
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &path).unwrap();
    };
    let (credential, clock) = bearer(CredentialSource::File(path.clone()));
    assert_eq!(refused(&credential).await, 1, "it is not there yet");
    write(b"canary-1\n");
    credential.renew().await;
    assert_eq!(shown(&credential).await.unwrap(), "Bearer canary-1");
    write(b"canary-2\r\n");
    credential.renew().await;
    assert_eq!(shown(&credential).await.unwrap(), "Bearer canary-2");
    let long = vec![b'a'; 16 * 1024 + 1];
    for bad in [&b""[..], b"\n", b"a\nb", b"a\r\nx-evil: 1", b"a b", b"a\0", b"\xff", &long] {
        write(b"canary-3");
        credential.renew().await;
        assert_eq!(shown(&credential).await.unwrap(), "Bearer canary-3");
        write(bad);
        credential.renew().await;
        assert_eq!(shown(&credential).await.unwrap(), "Bearer canary-3", "it is about to be replaced");
        clock.advance(Duration::from_secs(30));
        credential.renew().await;
        clock.advance(Duration::from_secs(30));
        refused(&credential).await;
    }
    write(&long[1..]);
    credential.renew().await;
    assert_eq!(shown(&credential).await.unwrap().len(), "Bearer ".len() + 16 * 1024);
    std::fs::remove_file(&path).unwrap();
    credential.renew().await;
    clock.advance(Duration::from_secs(60));
    refused(&credential).await;
}

#[test]
fn one_that_is_made_of_the_same_goes_on_with_what_it_has() {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (ManualClock::new(), Arc::new(SystemEntropy));
    let upstream = |secret: &str, max_idle: usize| {
        let settings = crate::upstream::testing::settings(Vec::new());
        let source = CredentialSource::Fixed(Secret::new(secret.as_bytes().to_vec()));
        let credential = CredentialSettings { header: "x-api-key".parse().unwrap(), scheme: None, source };
        [Arc::new(UpstreamSettings { credential: Some(credential), max_idle, ..settings })]
    };
    let first = Credentials::new(&upstream("a", 1), &clock, &entropy).unwrap();
    let same = first.renewed(&upstream("a", 2), &clock, &entropy).unwrap();
    let other = same.renewed(&upstream("b", 2), &clock, &entropy).unwrap();
    assert!(Arc::ptr_eq(&first.of("up").unwrap(), &same.of("up").unwrap()));
    assert!(!Arc::ptr_eq(&first.of("up").unwrap(), &other.of("up").unwrap()));
    assert!(first.of("down").is_none());
    for bad in ["", "a\r\nb", "a\n", " a", "a ", "a\tb", "\u{e4}"] {
        assert!(Credentials::new(&upstream(bad, 1), &clock, &entropy).is_err(), "{bad:?}");
    }
}

#[test]
fn an_upstream_whose_credential_nobody_keeps_does_not_come_about() {
    let mut settings = crate::upstream::testing::settings(Vec::new());
    let source = CredentialSource::Fixed(Secret::new(b"a".to_vec()));
    settings.credential = Some(CredentialSettings { header: "x-api-key".parse().unwrap(), scheme: None, source });
    let conditions = crate::upstream::Conditions::new(&[]);
    assert!(crate::upstream::Upstreams::new(&[Arc::new(settings)], &conditions).is_err());
}
