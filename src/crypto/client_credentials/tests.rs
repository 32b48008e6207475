use super::*;
use crate::crypto::dev_certs::DevCertificates;
use crate::crypto::testing::{Answer, KeyServer, TestFile};
use crate::model::{Clock, SystemClock};

const SECRET: &str = "s:e c+r/ét-canary";

fn settings(url: &str) -> TokenEndpointSettings {
    TokenEndpointSettings {
        url: url.to_owned(),
        client_id: "gate way".to_owned(),
        client_auth: TokenClientAuth::Basic(Secret::new(SECRET.to_owned())),
        scopes: Vec::new(),
        audience: None,
        ca: None,
        timeout: Duration::from_secs(20),
    }
}

fn endpoint(settings: TokenEndpointSettings) -> TokenEndpoint {
    TokenEndpoint::new(&Arc::new(settings), None).unwrap()
}

fn issued(token: &str) -> Answer {
    Answer::Json(format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":600}}"))
}

#[test]
fn what_is_asked_for_is_as_the_grant_has_it() {
    let basic = endpoint(settings("http://127.0.0.1/"));
    assert_eq!(basic.form(), "grant_type=client_credentials");
    assert!(basic.authorization.as_ref().unwrap().is_sensitive());
    let post = endpoint(TokenEndpointSettings {
        client_auth: TokenClientAuth::Post(Secret::new("a+b".to_owned())),
        scopes: vec!["orders.read".into(), "orders.write".into()],
        audience: Some("https://orders.example/".into()),
        ..settings("http://127.0.0.1/")
    });
    assert!(post.authorization.is_none());
    assert_eq!(
        post.form(),
        "grant_type=client_credentials&scope=orders.read+orders.write&audience=https%3A%2F%2Forders.example%2F\
         &client_id=gate+way&client_secret=a%2Bb"
    );
}

#[test]
fn f33_an_endpoint_that_must_not_be_asked_is_refused_at_the_start() {
    for url in ["http://id.example.com/", "https://169.254.169.254/", "https://u:p@id.example.com/", "file:///x"] {
        assert!(TokenEndpoint::new(&Arc::new(settings(url)), None).is_err(), "{url}");
    }
}

#[test]
fn who_is_known_by_a_certificate_must_have_one_that_can_be_used() {
    let mut ca = DevCertificates::new(SystemClock.now()).unwrap();
    let (made, other) = (ca.client("gate", &[], &[]).unwrap(), ca.client("other", &[], &[]).unwrap());
    let file = |text: &str| TestFile::new(text);
    let (chain, key, others) = (file(&made.chain_pem), file(made.key_pem.expose()), file(other.key_pem.expose()));
    let settings =
        Arc::new(TokenEndpointSettings { client_auth: TokenClientAuth::Mtls, ..settings("https://id.example.com/") });
    let with = |chain: &TestFile, key: &TestFile| {
        let files = CertificateFiles { chain: chain.path(), key: key.path() };
        TokenEndpoint::new(&settings, Some(&files)).map(|endpoint| endpoint.form())
    };
    assert_eq!(with(&chain, &key).unwrap(), "grant_type=client_credentials&client_id=gate+way");
    assert!(with(&chain, &others).is_err() && with(&key, &chain).is_err());
    assert!(TokenEndpoint::new(&settings, None).is_err());
}

#[tokio::test]
async fn f49_an_endpoint_that_fails_is_told_of_without_a_secret() {
    let server = KeyServer::start(issued("canary-token")).await;
    let endpoint = endpoint(settings(&format!("{}/keys", server.origin)));
    assert_eq!(endpoint.fetch().await.unwrap().value.expose(), "canary-token");
    for failing in [
        Answer::Status(400),
        Answer::Status(401),
        Answer::Status(500),
        Answer::Status(204),
        Answer::Redirect(format!("{}/elsewhere", server.origin)),
        Answer::Json("<html>canary".to_owned()),
        Answer::Json(format!(
            "{{\"access_token\":\"canary\",\"token_type\":\"Bearer\",\"x\":\"{}\"}}",
            "a".repeat(LARGEST)
        )),
        issued("canary\\r\\nx-evil: 1"),
    ] {
        server.answer("/keys", failing);
        server.answer("/elsewhere", issued("canary-token"));
        let before = server.requests();
        let why = endpoint.fetch().await.unwrap_err();
        assert!(!why.contains("canary") && !why.contains("s:e") && !why.contains("gate"), "{why}");
        assert_eq!(server.requests(), before + 1, "no redirect is followed, and nothing is asked twice");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_silent_is_given_up() {
    let server = KeyServer::start(Answer::Silence).await;
    let settings = settings(&format!("{}/keys", server.origin));
    let why = endpoint(TokenEndpointSettings { timeout: Duration::from_millis(20), ..settings }).fetch().await;
    assert!(why.unwrap_err().contains("no answer within 20ms"));
}

#[tokio::test]
async fn the_endpoint_must_prove_who_it_is() {
    let mut ca = DevCertificates::new(SystemClock.now()).unwrap();
    let server = KeyServer::start_tls(issued("t"), &ca.server(&["127.0.0.1"]).unwrap()).await;
    let own = TestFile::new(ca.ca_pem());
    let foreign = TestFile::new(DevCertificates::new(SystemClock.now()).unwrap().ca_pem());
    let url = format!("{}/keys", server.origin);
    let with = |ca: &TestFile| endpoint(TokenEndpointSettings { ca: Some(ca.path()), ..settings(&url) });
    assert!(with(&own).fetch().await.is_ok());
    assert!(with(&foreign).fetch().await.unwrap_err().contains("TLS"));
    assert_eq!(server.requests(), 1, "no secret went to a stranger");
}
