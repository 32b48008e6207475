//! The proxy between real sockets: the edge before it, the gate beside it, an origin that is a bare socket behind it.

mod answers;
mod denials;
mod logs;
mod requests;
mod upgrades;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use tokio::net::TcpStream;

use super::Proxy;
use crate::crypto::Signer;
use crate::edge::{Drain, Listener, serve};
use crate::gate::{Gate, fixtures};
use crate::model::observer::Unobserved;
use crate::model::settings::{
    Accept, Alternative, Bind, IssuerSettings, KeySource, ListenerSettings, RouteSettings, UpstreamSettings,
};
use crate::model::{CredentialKind, Timestamp};
use crate::upstream::testing::{OK, Origin, Wire, on_one_thread, settings as upstream_settings};
use crate::upstream::{Conditions, Upstreams};

const NOW: u64 = 1_800_000_000;
const JWKS: &str = "{\"keys\":[]}";

/// A running Portcullis: `/public/…` is for anyone, all else wants a token; both lead to one origin.
struct House {
    address: SocketAddr,
    origin: Origin,
}

impl House {
    async fn new() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    async fn with(listener: impl FnOnce(&mut ListenerSettings), upstream: impl FnOnce(&mut UpstreamSettings)) -> Self {
        let origin = Origin::new().await;
        let mut behind = UpstreamSettings { name: "app".into(), ..upstream_settings(vec![origin.endpoint()]) };
        upstream(&mut behind);
        let jwt = Alternative { kind: CredentialKind::Jwt, issuer: Some("main".into()), with_certificate: false };
        let public = RouteSettings {
            name: "public".into(),
            matches: vec![fixtures::route_match("/public/{*rest}")],
            ..fixtures::route()
        };
        let mut app = RouteSettings {
            name: "app".into(),
            matches: vec![fixtures::route_match("/{*rest}")],
            accept: Accept::OneOf { alternatives: vec![jwt], optional: false },
            ..fixtures::route()
        };
        app.identity.assertion = true;
        let mut settings = fixtures::settings(vec![public, app]);
        settings.upstreams = vec![Arc::new(behind)];
        let mut front = ListenerSettings {
            bind: Bind::Tcp("127.0.0.1:0".parse().unwrap()),
            ..ListenerSettings::clone(&settings.listeners[0])
        };
        listener(&mut front);

        let clock = fixtures::HeldClock::at(Timestamp::from_secs(NOW));
        let shared = fixtures::shared(clock.clone());
        let store = fixtures::store(clock.clone());
        let signer = Arc::new(Signer::generate().unwrap());
        let gate = Gate::new(&settings, shared.clone(), store, signer).unwrap();
        let upstreams = Upstreams::new(&settings.upstreams, &Conditions::new(&[])).unwrap();
        let proxy = Proxy::new(gate, upstreams, shared, &settings, Bytes::from_static(JWKS.as_bytes()), Drain::new());
        let listener = Listener::open(Arc::new(front), clock, Arc::new(Unobserved)).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(serve(vec![Arc::new(listener)], Rc::new(proxy), Drain::new(), None));
        Self { address, origin }
    }

    async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// Connects and sends.
    async fn say(&self, request: &str) -> Wire {
        let mut client = self.connect().await;
        client.say(request).await;
        client
    }
}

/// A token of `fixtures::issuer` for `subject`.
fn token(subject: &str) -> String {
    let IssuerSettings { keys: KeySource::Secret(secret), .. } = fixtures::issuer() else { panic!("a shared secret") };
    let claims = format!(
        r#"{{"iss":"https://id.example.com","aud":"orders","sub":"{subject}","iat":{NOW},"exp":{}}}"#,
        NOW + 600
    );
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, input.as_bytes())))
}

/// The lines of a head that begin so, in order.
fn lines<'a>(head: &'a str, start: &str) -> Vec<&'a str> {
    head.lines().filter(|line| line.to_ascii_lowercase().starts_with(start)).collect()
}
