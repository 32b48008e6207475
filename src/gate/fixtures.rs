//! What the tests of several stages start from.

use std::sync::Arc;

use crate::model::settings::{Accept, HeaderPreset, IdentityHeaders, OnStale, PathTolerance, RouteSettings};
use crate::model::{Client, CredentialKind, Principal, Timestamp, Verified};

/// A public route without rules or limits.
pub(crate) fn route() -> RouteSettings {
    RouteSettings {
        name: "x".into(),
        listeners: vec!["main".into()],
        matches: vec![],
        accept: Accept::Public,
        limits: vec![],
        deny: vec![],
        allow: vec![],
        upstream: "app".into(),
        identity: IdentityHeaders { preset: HeaderPreset::XAuth, headers: vec![], assertion: false },
        on_stale: OnStale::Deny,
        origins: vec![],
        forward_credentials: false,
        websocket_bearer: false,
        tolerate: PathTolerance::default(),
    }
}

/// A client without a certificate.
pub(crate) fn client(address: &str) -> Client {
    Client { peer: None, address: address.parse().expect("an address"), trusted: false, https: true, certificate: None }
}

/// Somebody whose credential never ends.
pub(crate) fn verified(kind: CredentialKind) -> Verified {
    Verified {
        principal: Principal::new("https://id.example.com", "alice"),
        kind,
        issuer_name: None,
        credential_id: "c1".into(),
        family: None,
        roles: vec![],
        scopes: vec![],
        groups: vec![],
        tenant: None,
        email: None,
        name: None,
        claims: Arc::default(),
        issued_at: Some(Timestamp(0)),
        not_before: None,
        expires_at: Timestamp::NEVER,
        authenticated_at: None,
        acr: None,
        amr: vec![],
        networks: vec![],
        bound_certificate: None,
        key_thumbprint: None,
        generation: 0,
    }
}
