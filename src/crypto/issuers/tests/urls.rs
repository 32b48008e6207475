//! A token never chooses where anything is fetched from, and a key server may not pass the errand on.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::refusal;
use crate::crypto::dev_certs::DevCertificates;
use crate::crypto::testing::*;
use crate::model::denial::Reason;
use crate::model::settings::{Algorithm, JwksSettings, KeySource};
use crate::model::{Clock, SystemClock};

/// A port that nobody has any business to connect to.
struct Canary(TcpListener);

impl Canary {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://{}/keys", self.0.local_addr().unwrap())
    }

    /// The kernel completes connections without our accepting them, so none that was made can be missed here.
    fn assert_untouched(&self) {
        let touched = self.0.accept().map(|_| ());
        assert_eq!(touched.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn f33_a_token_never_chooses_a_url() {
    let canary = Canary::new();
    let url = canary.url();
    let server = KeyServer::start(Answer::Json(jwks(&[P256.jwk("k1")]))).await;
    let mallory = TestKey::p256();
    let tries: [(Value, Value, Reason); 5] = [
        (json!({"jku": url, "x5u": url, "kid": "k1"}), json!(ISS), Reason::TokenSignature),
        (json!({"jku": url, "kid": url}), json!(ISS), Reason::TokenKeyUnknown),
        (json!({"kid": "k1", "jwk": {"kty": "EC", "jku": url}}), json!(ISS), Reason::TokenSignature),
        (json!({"kid": "k1"}), json!(url), Reason::TokenIssuer),
        (json!({"kid": "k1", "iss": url}), json!([url]), Reason::TokenClaim),
    ];
    for (mut header, iss, reason) in tries {
        header["alg"] = json!("ES256");
        let issuers = open(settings(server.source(), &[Algorithm::ES256])).unwrap();
        let token = mallory.token(&header, &claims_with("iss", Some(iss)));
        assert_eq!(refusal(&issuers, &token).await, reason, "{header}");
    }
    canary.assert_untouched();
}

#[tokio::test]
async fn f33_redirects_are_not_followed() {
    let canary = Canary::new();
    let server = KeyServer::start(Answer::Redirect(canary.url())).await;
    let issuers = open(settings(server.source(), &[Algorithm::ES256])).unwrap();
    let problems = issuers.refresh().await;
    assert!(problems[0].problem.contains("redirects are not followed"), "{}", problems[0]);
    canary.assert_untouched();
}

async fn discovered(server: &KeyServer, document: Value) -> Vec<String> {
    server.answer("/realm/.well-known/openid-configuration", Answer::Json(document.to_string()));
    let mut settings = settings(KeySource::Discovery(JwksSettings::default()), &[Algorithm::ES256]);
    settings.issuer = format!("{}/realm", server.origin).into();
    open(settings).unwrap().refresh().await.into_iter().map(|e| e.problem).collect()
}

#[tokio::test]
async fn discovery_leads_to_the_keys() {
    let server = KeyServer::start(Answer::Json(jwks(&[P256.jwk("k1")]))).await;
    let (issuer, keys) = (format!("{}/realm", server.origin), format!("{}/keys", server.origin));
    assert_eq!(discovered(&server, json!({"issuer": issuer, "jwks_uri": keys})).await, Vec::<String>::new());
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn f33_discovery_leads_nowhere_else() {
    let canary = Canary::new();
    let server = KeyServer::start(Answer::Json(jwks(&[P256.jwk("k1")]))).await;
    let (issuer, keys) = (format!("{}/realm", server.origin), format!("{}/keys", server.origin));
    for (document, wanted) in [
        (json!({"issuer": "https://other.example", "jwks_uri": canary.url()}), "has issuer `https://other.example`"),
        (json!({"issuer": format!("{issuer}/"), "jwks_uri": canary.url()}), "is wanted"),
        (json!({"jwks_uri": canary.url()}), "has issuer `none`"),
        (json!({"issuer": issuer}), "no jwks_uri"),
        (json!({"issuer": issuer, "jwks_uri": [keys]}), "no jwks_uri"),
        (json!({"issuer": issuer, "jwks_uri": "/keys"}), "cannot be read"),
        (json!({"issuer": issuer, "jwks_uri": "http://169.254.169.254/latest"}), "not encrypted"),
        (json!({"issuer": issuer, "jwks_uri": "https://169.254.169.254/latest"}), "no keys are fetched from"),
        (json!({"issuer": issuer, "jwks_uri": "file:///etc/passwd"}), "has no host"),
    ] {
        let problems = discovered(&server, document.clone()).await;
        assert!(problems.iter().any(|p| p.contains(wanted)), "{document}: {problems:?}");
    }
    canary.assert_untouched();
}

#[test]
fn f33_urls_that_keys_may_not_come_from_are_refused_at_the_start() {
    for url in ["http://id.example.com/keys", "https://169.254.169.254/", "ftp://localhost/", "keys.json", ""] {
        let source = KeySource::JwksUrl { url: url.to_owned(), jwks: JwksSettings::default() };
        assert!(open(settings(source, &[Algorithm::ES256])).is_err(), "{url}");
    }
}

#[tokio::test]
async fn over_tls_only_a_server_that_the_ca_vouches_for_is_believed() {
    let now = SystemClock.now();
    let (mut ca, other) = (DevCertificates::new(now).unwrap(), DevCertificates::new(now).unwrap());
    let right = ca.server(&["127.0.0.1"]).unwrap();
    let wrong_name = ca.server(&["id.example.com"]).unwrap();
    let file = TestFile::new(ca.ca_pem());
    let other_file = TestFile::new(other.ca_pem());
    let cases = [
        (&right, Some(&file), true),
        (&wrong_name, Some(&file), false),
        (&right, Some(&other_file), false),
        (&right, None, false),
    ];
    for (certificate, ca, good) in cases {
        let server = KeyServer::start_tls(Answer::Json(jwks(&[P256.jwk("k1")])), certificate).await;
        let jwks = JwksSettings { ca: ca.map(TestFile::path), ..JwksSettings::default() };
        let source = KeySource::JwksUrl { url: format!("{}/keys", server.origin), jwks };
        let problems = open(settings(source, &[Algorithm::ES256])).unwrap().refresh().await;
        assert_eq!(problems.is_empty(), good, "{problems:?}");
        assert!(problems.iter().all(|p| p.problem.contains("TLS: invalid peer certificate")), "{problems:?}");
        assert_eq!(server.requests(), u64::from(good));
    }
}

#[tokio::test]
async fn discovery_never_leads_from_https_to_http() {
    let mut ca = DevCertificates::new(SystemClock.now()).unwrap();
    let certificate = ca.server(&["127.0.0.1"]).unwrap();
    let file = TestFile::new(ca.ca_pem());
    let server = KeyServer::start_tls(Answer::Status(404), &certificate).await;
    let canary = Canary::new();
    let document = json!({"issuer": server.origin, "jwks_uri": canary.url()}).to_string();
    server.answer("/.well-known/openid-configuration", Answer::Json(document));
    let jwks = JwksSettings { ca: Some(file.path()), ..JwksSettings::default() };
    let mut settings = settings(KeySource::Discovery(jwks), &[Algorithm::ES256]);
    settings.issuer = server.origin.as_str().into();
    let problems = open(settings).unwrap().refresh().await;
    assert!(problems[0].problem.contains("from https to"), "{problems:?}");
    canary.assert_untouched();
}

#[test]
fn a_ca_file_that_holds_no_certificate_is_refused_at_the_start() {
    for content in ["", "no PEM", &P256.public_pem()] {
        let file = TestFile::new(content);
        let jwks = JwksSettings { ca: Some(file.path()), ..JwksSettings::default() };
        let source = KeySource::JwksUrl { url: "https://id.example.com/keys".to_owned(), jwks };
        let problem = open(settings(source, &[Algorithm::ES256])).map(|_| ()).unwrap_err().problem;
        assert!(problem.contains("ca `"), "{problem}");
    }
}
