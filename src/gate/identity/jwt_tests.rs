use serde_json::{Map, json};

use super::*;
use crate::gate::fixtures;
use crate::model::denial::Reason;
use crate::model::settings::{ClaimPointers, IssuerSettings};

fn token(claims: Value, pointers: ClaimPointers) -> VerifiedToken {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    VerifiedToken {
        issuer: Arc::new(IssuerSettings { claims: pointers, ..fixtures::issuer() }),
        claims,
        subject: "alice".into(),
        id: "t1".into(),
        expires_at: Timestamp(9_000),
        issued_at: Some(Timestamp(1_000)),
        not_before: None,
        bound_certificate: Some([3; 32]),
        bound_key: None,
        key_thumbprint: [7; 32],
    }
}

fn of(claims: Value) -> Result<Verified, Denial> {
    identity(token(claims, fixtures::issuer().claims))
}

fn list(items: &[&str]) -> Vec<Arc<str>> {
    items.iter().map(|&item| item.into()).collect()
}

#[test]
fn claims_become_an_identity() {
    let verified = of(json!({
        "roles": ["editor", "admin", "editor", ""],
        "groups": "staff",
        "scope": "write  read write",
        "tenant": "acme",
        "email": "a@example.com",
        "name": "Alice",
        "auth_time": 1234,
        "acr": "2",
        "amr": ["pwd", "otp"],
        "custom": {"x": 1},
    }))
    .unwrap();
    assert_eq!(verified.principal, Principal::new(&fixtures::issuer().issuer, "alice"));
    assert_eq!(verified.issuer_name, Some(fixtures::issuer().name));
    assert_eq!(verified.kind, CredentialKind::Jwt);
    assert_eq!(&*verified.credential_id, "t1");
    assert_eq!(verified.roles, list(&["admin", "editor"]));
    assert_eq!(verified.groups, list(&["staff"]));
    assert_eq!(verified.scopes, list(&["read", "write"]));
    assert_eq!(verified.tenant.as_deref(), Some("acme"));
    assert_eq!(verified.email.as_deref(), Some("a@example.com"));
    assert_eq!(verified.name.as_deref(), Some("Alice"));
    assert_eq!(verified.authenticated_at, Some(Timestamp::from_secs(1234)));
    assert_eq!(verified.acr.as_deref(), Some("2"));
    assert_eq!(verified.amr, list(&["otp", "pwd"]));
    assert_eq!(verified.claims.get("custom"), Some(&json!({"x": 1})));
    assert_eq!(verified.expires_at, Timestamp(9_000));
    assert_eq!(verified.key_thumbprint, Some([7; 32]));
    assert_eq!(verified.bound_certificate, Some([3; 32]));
}

#[test]
fn scopes_may_be_an_array_too() {
    assert_eq!(of(json!({"scope": ["b", "a", "c d"]})).unwrap().scopes, list(&["a", "b", "c", "d"]));
}

#[test]
fn absent_claims_are_empty() {
    let verified = of(json!({"roles": null})).unwrap();
    assert!(verified.roles.is_empty() && verified.groups.is_empty() && verified.scopes.is_empty());
    assert_eq!((verified.tenant, verified.email, verified.authenticated_at), (None, None, None));
}

#[test]
fn f26_a_claim_that_decisions_go_by_is_of_the_right_type_or_the_token_is_refused() {
    for wrong in [json!(1), json!(true), json!({"a": 1}), json!(["a", 1]), json!([["a"]]), json!([null])] {
        for claim in ["roles", "groups", "scope"] {
            let mut claims = Map::new();
            claims.insert(claim.to_owned(), wrong.clone());
            let denial = of(Value::Object(claims)).unwrap_err();
            assert_eq!(denial.reason, Reason::TokenClaim, "{claim}: {wrong}");
        }
    }
    assert_eq!(of(json!({"tenant": 1})).unwrap_err().reason, Reason::TokenClaim);
    assert_eq!(of(json!({"email": 1, "name": [], "auth_time": "x", "amr": 1})).unwrap().email, None);
}

#[test]
fn a_pointer_begins_with_a_slash_and_a_name_is_only_a_name() {
    let at = |pointer: &str| {
        let claims = json!({
            "realm_access": {"roles": ["a"]}, "a.b": ["dot"], "x/y": {"~": ["escaped"]}, "": ["empty"], "list": [["b"]],
        });
        let pointers = ClaimPointers { roles: Some(pointer.into()), ..fixtures::issuer().claims };
        identity(token(claims, pointers)).unwrap().roles
    };
    assert_eq!(at("/realm_access/roles"), list(&["a"]));
    assert_eq!(at("a.b"), list(&["dot"]));
    assert_eq!(at("/x~1y/~0"), list(&["escaped"]));
    assert_eq!(at("/"), list(&["empty"]));
    assert_eq!(at("/list/0"), list(&["b"]));
    for absent in ["realm_access/roles", "/realm_access/none", "/realm_access/roles/7/8", "/none/roles"] {
        assert!(at(absent).is_empty(), "{absent}");
    }
}
