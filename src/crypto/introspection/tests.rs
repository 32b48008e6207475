use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::json;

use super::*;
use crate::crypto::dev_certs::DevCertificates;
use crate::crypto::testing::{Answer, KeyServer, ManualClock, NOW, TestFile};
use crate::model::settings::ClaimPointers;
use crate::model::{Secret, SystemClock};

const AT: Timestamp = Timestamp::from_secs(NOW);

fn settings(url: &str) -> OpaqueSettings {
    OpaqueSettings {
        introspection_url: url.to_owned(),
        issuer: "https://id.example.com".into(),
        audiences: vec!["orders".into(), "carts".into()],
        allow_missing_audience: false,
        client_id: "gate way".to_owned(),
        client_secret: Secret::new("s:e c+r/ét".to_owned()),
        client_auth: ClientSecretMethod::Basic,
        ca: None,
        timeout: Duration::from_secs(20),
        cache: Duration::from_secs(60),
        max_size: 4096,
        claims: ClaimPointers { roles: None, groups: None, scopes: None, tenant: None, email: None, name: None },
    }
}

fn introspector(settings: &OpaqueSettings) -> Introspector {
    Introspector::new(settings, ManualClock::new()).unwrap()
}

fn answer() -> Value {
    json!({"active": true, "sub": "alice", "aud": "orders", "exp": NOW + 600, "iat": NOW, "scope": "read"})
}

/// What is said of the answer with these members, of which `null` ones are taken out.
fn said_with(settings: &OpaqueSettings, changes: &Value) -> Result<Introspected, Reason> {
    let mut answer = answer();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => answer.as_object_mut().unwrap().remove(name),
            value => answer.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    said_of(settings, &answer.to_string())
}

fn said_of(settings: &OpaqueSettings, body: &str) -> Result<Introspected, Reason> {
    answer::check(settings, body.as_bytes(), AT).map_err(|denial| denial.reason)
}

#[test]
fn an_active_token_for_us_is_good() {
    let settings = settings("http://127.0.0.1/");
    let found = said_with(&settings, &json!({"nbf": NOW - 5})).unwrap();
    assert_eq!((&*found.subject, found.expires_at), ("alice", Some(Timestamp::from_secs(NOW + 600))));
    assert_eq!((found.issued_at, found.not_before), (Some(AT), Some(Timestamp::from_secs(NOW - 35))));
    for changes in [
        json!({"exp": null, "iat": null, "scope": null}),
        json!({"aud": ["other", "carts"]}),
        json!({"iss": "https://id.example.com"}),
        json!({"token_type": "Bearer", "token_use": "access_token", "typ": "Bearer"}),
        json!({"exp": (NOW as f64) + 0.5 + 1.0}),
        json!({"nbf": NOW + 29}),
    ] {
        assert!(said_with(&settings, &changes).is_ok(), "{changes}");
    }
}

#[test]
fn f28_a_member_of_the_wrong_type_is_never_taken_for_absent() {
    let settings = OpaqueSettings { allow_missing_audience: true, ..settings("http://127.0.0.1/") };
    let values = [json!("1"), json!(true), json!([]), json!({}), json!(["x", 1]), json!(7)];
    let mut refused = 0;
    for (name, good) in [
        ("exp", "a number"),
        ("iat", "a number"),
        ("nbf", "a number"),
        ("sub", "a string"),
        ("iss", "a string"),
        ("scope", "a string"),
        ("token_type", "a string"),
        ("token_use", "a string"),
        ("typ", "a string"),
        ("cnf", "an object"),
    ] {
        for value in values.iter().chain([&Value::Null]) {
            if crate::crypto::shown::kind(Some(value)) == good {
                continue;
            }
            // `null` itself, which `said_with` would take out.
            let body = format!("{{\"active\":true,\"aud\":\"orders\",\"sub\":\"alice\",\"{name}\":{value}}}");
            let body = if name == "sub" { body.replace("\"sub\":\"alice\",", "") } else { body };
            assert_eq!(said_of(&settings, &body).unwrap_err(), Reason::TokenClaim, "{body}");
            refused += 1;
        }
    }
    for value in [json!(null), json!(1), json!({}), json!([1]), json!(["orders", null])] {
        let body = format!("{{\"active\":true,\"sub\":\"alice\",\"aud\":{value}}}");
        assert_eq!(said_of(&settings, &body).unwrap_err(), Reason::TokenClaim, "{body}");
    }
    assert_eq!(refused, 60);
}

#[test]
fn f38_only_active_true_is_active_and_what_is_no_answer_says_nothing_of_the_token() {
    let settings = settings("http://127.0.0.1/");
    assert_eq!(said_of(&settings, "{\"active\":false}").unwrap_err(), Reason::TokenInactive);
    assert_eq!(said_with(&settings, &json!({"active": false})).unwrap_err(), Reason::TokenInactive);
    for garbage in [
        "",
        "active",
        "true",
        "[]",
        "{}",
        "{\"active\":\"true\"}",
        "{\"active\":1}",
        "{\"active\":null}",
        "{\"active\":[true]}",
        "{\"active\":false,\"active\":true,\"sub\":\"alice\",\"aud\":\"orders\"}",
        "{\"active\":true,\"sub\":\"alice\",\"sub\":\"admin\",\"aud\":\"orders\"}",
        "<html>active</html>",
    ] {
        assert_eq!(said_of(&settings, garbage).unwrap_err(), Reason::IntrospectionUnavailable, "{garbage}");
    }
}

#[test]
fn f36_a_token_for_others_of_others_or_of_another_kind_is_refused() {
    let settings = settings("http://127.0.0.1/");
    for (changes, reason) in [
        (json!({"aud": "other"}), Reason::TokenAudience),
        (json!({"aud": "Orders"}), Reason::TokenAudience),
        (json!({"aud": []}), Reason::TokenAudience),
        (json!({"aud": null}), Reason::TokenAudience),
        (json!({"iss": "https://id.example.com/"}), Reason::TokenIssuer),
        (json!({"iss": "https://other.example.com"}), Reason::TokenIssuer),
        (json!({"sub": null}), Reason::TokenClaim),
        (json!({"sub": null, "username": "alice"}), Reason::TokenClaim),
        (json!({"sub": ""}), Reason::TokenClaim),
        (json!({"sub": "a\nb"}), Reason::TokenClaim),
        (json!({"exp": NOW}), Reason::TokenExpired),
        (json!({"exp": 0}), Reason::TokenExpired),
        (json!({"exp": -1}), Reason::TokenExpired),
        (json!({"nbf": NOW + 31}), Reason::TokenNotYetValid),
        (json!({"token_type": "refresh_token"}), Reason::TokenType),
        (json!({"token_type": "mac"}), Reason::TokenType),
        (json!({"token_use": "refresh_token"}), Reason::TokenType),
        (json!({"typ": "Refresh"}), Reason::TokenType),
        (json!({"typ": "ID"}), Reason::TokenType),
        (json!({"token_type": "DPoP"}), Reason::TokenClaim),
    ] {
        assert_eq!(said_with(&settings, &changes).unwrap_err(), reason, "{changes}");
    }
    let lenient = OpaqueSettings { allow_missing_audience: true, ..settings };
    assert!(said_with(&lenient, &json!({"aud": null})).is_ok());
    assert_eq!(said_with(&lenient, &json!({"aud": "other"})).unwrap_err(), Reason::TokenAudience);
}

#[test]
fn a_bound_token_says_to_what_and_every_other_binding_is_refused() {
    let settings = settings("http://127.0.0.1/");
    let thumbprint = crate::crypto::base64url::encode(&[7; 32]);
    let found = said_with(&settings, &json!({"cnf": {"x5t#S256": thumbprint}})).unwrap();
    assert_eq!((found.bound_certificate, found.bound_key), (Some([7; 32]), None));
    let found = said_with(&settings, &json!({"cnf": {"jkt": thumbprint}, "token_type": "DPoP"})).unwrap();
    assert_eq!((found.bound_certificate, found.bound_key), (None, Some([7; 32])));
    let found = said_with(&settings, &json!({"cnf": {"jkt": thumbprint, "x5t#S256": thumbprint}})).unwrap();
    assert_eq!((found.bound_certificate, found.bound_key), (Some([7; 32]), Some([7; 32])), "both are to be proved");
    for cnf in [
        json!({}),
        json!({"x5t#S256": "short"}),
        json!({"jkt": 1}),
        json!({"jkt": format!("{thumbprint}=")}),
        json!({"kid": "k"}),
        json!({"jwk": {}}),
        json!({"jkt": thumbprint, "kid": "k"}),
    ] {
        assert_eq!(said_with(&settings, &json!({"cnf": cnf})).unwrap_err(), Reason::TokenClaim, "{cnf}");
    }
}

#[test]
fn names_and_secrets_are_form_encoded_before_they_are_joined() {
    let settings = settings("http://127.0.0.1/");
    let value = introspector(&settings).authorization.unwrap();
    assert!(value.is_sensitive());
    let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
    assert_eq!(STANDARD.decode(text).unwrap(), b"gate+way:s%3Ae+c%2Br%2F%C3%A9t");

    let post = introspector(&OpaqueSettings { client_auth: ClientSecretMethod::Post, ..settings.clone() });
    assert!(post.authorization.is_none());
    let form = post.form("a+b/c=&x");
    assert_eq!(
        form,
        "token=a%2Bb%2Fc%3D%26x&token_type_hint=access_token&client_id=gate+way&client_secret=s%3Ae+c%2Br%2F%C3%A9t"
    );
    assert_eq!(introspector(&settings).form("t"), "token=t&token_type_hint=access_token");
}

async fn reason(introspector: &Introspector, token: &str) -> Reason {
    let denial = introspector.introspect(token, AT).await.unwrap_err();
    let detail = denial.detail.clone().unwrap_or_default();
    assert!(!detail.contains(token) && !detail.contains("c+r") && !detail.contains("s:e"), "{detail}");
    assert_eq!(denial.reason != Reason::IntrospectionUnavailable, denial.retry_after.is_none());
    denial.reason
}

#[tokio::test]
async fn an_endpoint_that_fails_says_nothing_of_the_token() {
    let server = KeyServer::start(Answer::Json(answer().to_string())).await;
    let asking = introspector(&settings(&format!("{}/keys", server.origin)));
    assert!(asking.introspect("canary-token", AT).await.is_ok());
    for failing in [
        Answer::Status(500),
        Answer::Status(401),
        Answer::Status(204),
        Answer::Redirect(format!("{}/elsewhere", server.origin)),
        Answer::Json("<html>".to_owned()),
        Answer::Json(format!("{{\"active\":true,\"x\":\"{}\"}}", "a".repeat(LARGEST))),
        Answer::Json(format!("{{\"active\":true,\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000))),
    ] {
        server.answer("/keys", failing);
        server.answer("/elsewhere", Answer::Json(answer().to_string()));
        let before = server.requests();
        assert_eq!(reason(&asking, "canary-token").await, Reason::IntrospectionUnavailable);
        assert_eq!(server.requests(), before + 1, "no redirect is followed, and nothing is asked twice");
    }
    server.answer("/keys", Answer::Json(answer().to_string()));
    assert!(asking.introspect("canary-token", AT).await.is_ok(), "answers of any kind do not open the breaker");
}

#[tokio::test]
async fn f61_a_token_that_is_too_long_is_not_even_asked_about() {
    let server = KeyServer::start(Answer::Json(answer().to_string())).await;
    let asking = introspector(&OpaqueSettings { max_size: 64, ..settings(&format!("{}/keys", server.origin)) });
    assert!(asking.introspect(&"a".repeat(64), AT).await.is_ok());
    assert_eq!(reason(&asking, &"a".repeat(65)).await, Reason::TokenTooLarge);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_silent_is_waited_for_only_so_often() {
    let server = KeyServer::start(Answer::Silence).await;
    let settings =
        OpaqueSettings { timeout: Duration::from_millis(20), ..settings(&format!("{}/keys", server.origin)) };
    let clock = ManualClock::new();
    let asking = Introspector::new(&settings, clock.clone()).unwrap();
    for _ in 0..5 {
        assert_eq!(reason(&asking, "canary-token").await, Reason::IntrospectionUnavailable);
    }
    let asked = server.requests();
    for _ in 0..20 {
        assert_eq!(reason(&asking, "canary-token").await, Reason::IntrospectionUnavailable);
    }
    assert_eq!(server.requests(), asked, "it is spared");
    server.answer("/keys", Answer::Json(answer().to_string()));
    clock.advance(Duration::from_secs(1));
    let patient = Introspector { settings: OpaqueSettings { timeout: Duration::from_secs(20), ..settings }, ..asking };
    assert!(patient.introspect("canary-token", AT).await.is_ok());
}

#[tokio::test]
async fn f61_calls_under_way_are_bounded() {
    let server = KeyServer::start(Answer::Silence).await;
    let settings = OpaqueSettings { timeout: Duration::from_secs(20), ..settings(&format!("{}/keys", server.origin)) };
    let asking = introspector(&settings);
    let tokens: Vec<String> = (0..MOST_CALLS * 2).map(|n| format!("canary-{n}")).collect();
    let asks = join_all(tokens.iter().map(|token| asking.introspect(token, AT)));
    let all = tokio::select! {
        _ = asks => panic!("nobody is answered"),
        () = server.reached(u64::try_from(MOST_CALLS).unwrap()) => server.requests(),
    };
    assert_eq!((all, asking.calls.available_permits()), (u64::try_from(MOST_CALLS).unwrap(), MOST_CALLS));
}

#[tokio::test]
async fn the_endpoint_must_prove_who_it_is() {
    let mut ca = DevCertificates::new(SystemClock.now()).unwrap();
    let server = KeyServer::start_tls(Answer::Json(answer().to_string()), &ca.server(&["127.0.0.1"]).unwrap()).await;
    let own = TestFile::new(ca.ca_pem());
    let foreign = TestFile::new(DevCertificates::new(SystemClock.now()).unwrap().ca_pem());
    let url = format!("{}/keys", server.origin);
    let with = |ca: &TestFile| introspector(&OpaqueSettings { ca: Some(ca.path()), ..settings(&url) });
    assert!(with(&own).introspect("canary-token", AT).await.is_ok());
    assert_eq!(reason(&with(&foreign), "canary-token").await, Reason::IntrospectionUnavailable);
    assert_eq!(server.requests(), 1, "no token went to a stranger");
}

#[test]
fn f33_an_endpoint_that_must_not_be_asked_is_refused_at_the_start() {
    for url in ["http://id.example.com/", "https://169.254.169.254/", "https://u:p@id.example.com/", "file:///x"] {
        assert!(Introspector::new(&settings(url), ManualClock::new()).is_err(), "{url}");
    }
}
