//! What the tests of several stages start from.

use std::sync::Arc;
use std::time::Duration;

use crate::model::settings::{
    Accept, Algorithm, ClaimPointers, HeaderPreset, IdentityHeaders, IssuerSettings, KeySource, OnStale, PathTolerance,
    RouteSettings,
};
use crate::model::{Client, CredentialKind, Principal, Secret, Timestamp, Verified};

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

/// `issuer.main` with a shared secret.
pub(crate) fn issuer() -> IssuerSettings {
    IssuerSettings {
        name: "main".into(),
        issuer: "https://id.example.com".into(),
        audiences: vec!["orders".into()],
        algorithms: vec![Algorithm::HS256],
        types: vec![],
        leeway: Duration::from_secs(30),
        required_claims: vec![],
        max_lifetime: Duration::from_secs(24 * 3600),
        max_size: 8192,
        keys: KeySource::Secret(Secret::new(b"0123456789abcdef0123456789abcdef".to_vec())),
        claims: ClaimPointers {
            roles: Some("roles".into()),
            groups: Some("groups".into()),
            scopes: Some("scope".into()),
            tenant: Some("tenant".into()),
            email: Some("email".into()),
            name: Some("name".into()),
        },
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
