use std::time::Duration;

use http_body_util::BodyExt;

use super::*;
use crate::gate::fixtures;
use crate::model::settings::Alternative;

static REQUEST: HeaderValue = HeaderValue::from_static("a-proxys-own-name");
const ID: DecisionId = DecisionId::from_bytes([0x5a; 16]);

fn asked(method: &Method) -> Asked<'_> {
    Asked { method, version: Version::HTTP_11, id: ID, request_id: &REQUEST, grpc: None, pages: None }
}

fn route(kinds: &[CredentialKind]) -> Arc<RouteSettings> {
    let alternatives =
        kinds.iter().map(|kind| Alternative { kind: *kind, issuer: None, with_certificate: false }).collect();
    Arc::new(RouteSettings {
        name: "app".into(),
        accept: Accept::OneOf { alternatives, optional: false },
        ..fixtures::route()
    })
}

fn render(kinds: &[CredentialKind], denial: &Denial) -> Response<Body> {
    let mut denial = denial.clone();
    denial.route = Some("app".into());
    Challenges::new(&[route(kinds)], &[Algorithm::ES256, Algorithm::EdDSA]).render(&denial, &asked(&Method::GET))
}

fn challenges(kinds: &[CredentialKind], denial: &Denial) -> Vec<String> {
    let response = render(kinds, denial);
    response.headers().get_all(WWW_AUTHENTICATE).iter().map(|v| v.to_str().unwrap().to_owned()).collect()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn f49_an_answer_never_shows_the_detail_nor_which_check_failed() {
    for reason in Reason::ALL {
        let mut denial = Denial::because(*reason, "canary-4711");
        denial.route = Some("canary-4711".into());
        let response = Challenges::new(&[], &[]).render(&denial, &asked(&Method::GET));
        assert!(!format!("{:?}", response.headers()).contains("canary"), "{reason:?}");
        assert_eq!(response.status().as_u16(), reason.row().status);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[REQUEST_ID], REQUEST);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let text = text(response).await;
        assert!(!text.contains("canary"), "{text}");
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["status"], reason.row().status);
        assert_eq!(document["decision_id"], ID.to_string());
        assert_eq!(document["title"], reason.row().title);
        assert_eq!(document["type"], format!("urn:portcullis:{}", public_code(*reason)));
        assert_eq!(document.as_object().unwrap().len(), 4, "{text}");
    }
}

#[test]
fn reasons_of_one_title_cannot_be_told_apart() {
    for one in Reason::ALL {
        for other in Reason::ALL {
            if one.row().title == other.row().title {
                assert_eq!(public_code(*one), public_code(*other), "{one:?} {other:?}");
            }
        }
    }
    assert_eq!(public_code(Reason::TokenSignature), "invalid_token");
    assert_eq!(public_code(Reason::Revoked), "invalid_token");
}

#[test]
fn a_challenge_lists_the_schemes_that_the_route_takes() {
    use CredentialKind::{ApiKey, Basic, Jwt, Mtls, Session};
    let missing = Reason::CredentialMissing.into();
    assert_eq!(challenges(&[Jwt, Session], &missing), ["Bearer realm=\"portcullis\"", "DPoP algs=\"ES256 EdDSA\""]);
    assert_eq!(challenges(&[ApiKey], &missing), ["Bearer realm=\"portcullis\""]);
    assert_eq!(
        challenges(&[Jwt, Basic], &missing),
        ["Bearer realm=\"portcullis\"", "DPoP algs=\"ES256 EdDSA\"", "Basic realm=\"portcullis\", charset=\"UTF-8\""]
    );
    assert_eq!(challenges(&[Session], &missing), ["Cookie realm=\"portcullis\""]);
    assert!(challenges(&[Mtls], &missing).is_empty());
}

#[test]
fn a_bearer_challenge_has_the_error_of_rfc_6750() {
    let bearer = [CredentialKind::ApiKey];
    assert_eq!(
        challenges(&bearer, &Reason::TokenExpired.into()),
        ["Bearer realm=\"portcullis\", error=\"invalid_token\""]
    );
    assert_eq!(
        challenges(&bearer, &Reason::TwoCredentials.into()),
        ["Bearer realm=\"portcullis\", error=\"invalid_request\""]
    );
    let mut denial = Denial::new(Reason::InsufficientScope);
    denial.wanted_scopes = vec!["orders:read".into(), "a\"b".into(), "orders:write".into()];
    assert_eq!(
        challenges(&bearer, &denial),
        ["Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"orders:read orders:write\""]
    );
    assert!(challenges(&bearer, &Reason::NotAllowed.into()).is_empty());
}

#[test]
fn a_dpop_challenge_has_the_error_of_rfc_9449_and_the_nonce_to_use() {
    let jwt = [CredentialKind::Jwt];
    let bearer = "Bearer realm=\"portcullis\"".to_owned();
    for (reason, error) in [
        (Reason::ProofInvalid, "invalid_dpop_proof"),
        (Reason::ProofReplayed, "invalid_dpop_proof"),
        (Reason::ProofNonce, "use_dpop_nonce"),
    ] {
        let dpop = format!("DPoP error=\"{error}\", algs=\"ES256 EdDSA\"");
        assert_eq!(challenges(&jwt, &reason.into()), [bearer.clone(), dpop], "{reason:?}");
    }
    assert_eq!(
        challenges(&jwt, &Reason::TokenBinding.into()),
        [bearer + ", error=\"invalid_token\"", "DPoP error=\"invalid_token\", algs=\"ES256 EdDSA\"".to_owned()]
    );
    let denial = Denial { nonce: Some("fresh".into()), ..Reason::ProofNonce.into() };
    assert_eq!(render(&jwt, &denial).headers()["dpop-nonce"], "fresh");
    assert!(!render(&jwt, &Reason::ProofInvalid.into()).headers().contains_key("dpop-nonce"));
    let unsafe_to_say = Denial { nonce: Some("a\r\nb".into()), ..Reason::ProofNonce.into() };
    assert!(!render(&jwt, &unsafe_to_say).headers().contains_key("dpop-nonce"));
}

#[test]
fn retry_after_is_never_too_early() {
    let after = |d| render(&[], &Denial::new(Reason::RateLimited).retry_after(d)).headers()[RETRY_AFTER].clone();
    assert_eq!(after(Duration::from_millis(1001)), "2");
    assert_eq!(after(Duration::ZERO), "1");
    assert_eq!(after(Duration::from_secs(3)), "3");
}

#[test]
fn the_limit_that_is_used_up_is_named() {
    let limit = UsedUp { name: "per-key".into(), count: 600, per: Duration::from_secs(60) };
    let denial = Denial { limit: Some(Box::new(limit)), ..Denial::new(Reason::RateLimited) };
    let response = render(&[], &denial.retry_after(Duration::from_millis(1500)));
    assert_eq!(response.headers()["ratelimit-policy"], r#""per-key";q=600;w=60"#);
    assert_eq!(response.headers()["ratelimit"], r#""per-key";r=0;t=2"#);
    assert!(!render(&[], &Reason::StoreUnavailable.into()).headers().contains_key("ratelimit"));
}

#[test]
fn f58_an_ambiguous_request_ends_its_connection() {
    let closes = |reason: Reason, version| {
        let asked = Asked { version, ..asked(&Method::GET) };
        Challenges::new(&[], &[]).render(&reason.into(), &asked).headers().contains_key(CONNECTION)
    };
    assert!(closes(Reason::AmbiguousFraming, Version::HTTP_11));
    assert!(closes(Reason::DotSegment, Version::HTTP_10));
    assert!(!closes(Reason::AmbiguousFraming, Version::HTTP_2));
    assert!(!closes(Reason::TokenExpired, Version::HTTP_11));
}

#[tokio::test]
async fn head_gets_the_headers_alone() {
    let response = Challenges::new(&[], &[]).render(&Reason::NoRoute.into(), &asked(&Method::HEAD));
    assert_ne!(response.headers()[CONTENT_LENGTH], "0");
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn a_grpc_client_gets_its_status_in_headers() {
    let asked = Asked { grpc: Some("application/grpc"), ..asked(&Method::POST) };
    for reason in Reason::ALL {
        let response = Challenges::new(&[], &[]).render(&(*reason).into(), &asked);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], reason.row().grpc.to_string());
        assert_ne!(response.headers()["grpc-status"], "0");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
        assert!(http_body::Body::is_end_stream(response.body()));
    }
    assert_eq!(grpc_message("50 % ä"), "50 %25 %C3%A4");
}

#[test]
fn grpc_is_known_by_its_content_type() {
    let of =
        |text: &'static str| grpc_content_type(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]));
    assert_eq!(of("application/grpc"), Some("application/grpc"));
    assert_eq!(of("Application/gRPC+proto; charset=x"), Some("application/grpc"));
    assert_eq!(of("application/grpc-web-text+proto"), Some("application/grpc-web-text"));
    assert_eq!(of("application/grpcx"), None);
    assert_eq!(of("application/json"), None);
}
