use std::time::Duration;

use super::*;
use crate::crypto::{Signer, api_key, session_secret};
use crate::gate::{Shared, fixtures};
use crate::model::{ApiKeyRecord, Clock, LogEntry, Principal, Revocation, SessionRecord, SystemEntropy};
use crate::store::Store;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

struct World {
    gate: Gate,
    shared: Arc<Shared>,
    store: Store,
    clock: Arc<fixtures::HeldClock>,
}

fn world() -> World {
    let clock = fixtures::HeldClock::at(NOW);
    let (shared, store) = (fixtures::shared(clock.clone()), fixtures::store(clock.clone()));
    let settings = fixtures::settings(vec![fixtures::route()]);
    let gate = Gate::new(&settings, shared.clone(), store.clone(), Arc::new(Signer::generate().unwrap())).unwrap();
    World { gate, shared, store, clock }
}

fn of(kind: CredentialKind) -> Verified {
    Verified { expires_at: NOW.after(MINUTE), issued_at: Some(NOW), ..fixtures::verified(kind) }
}

fn alone(verified: Verified) -> Tenure {
    Tenure::new(&Arc::new(verified), None, Timestamp::NEVER, None)
}

impl World {
    fn reason(&self, tenure: &Tenure, on_stale: OnStale) -> Option<Reason> {
        self.gate.recall(tenure, on_stale, self.clock.now()).err().map(|denial| denial.reason)
    }

    async fn renewed(&self, verified: &Verified) -> Result<Timestamp, Reason> {
        self.gate.renew(&alone(verified.clone()), self.clock.now()).await.map_err(|denial| denial.reason)
    }
}

#[test]
fn each_kind_ends_with_its_own_reason() {
    let world = world();
    let kinds = [
        (CredentialKind::Jwt, Reason::TokenExpired),
        (CredentialKind::Session, Reason::SessionExpired),
        (CredentialKind::ApiKey, Reason::ApiKeyExpired),
        (CredentialKind::Mtls, Reason::CertificateNotAccepted),
    ];
    for (kind, _) in kinds {
        assert_eq!(world.reason(&alone(of(kind)), OnStale::Deny), None, "{kind}");
    }
    world.clock.advance(MINUTE);
    for (kind, reason) in kinds {
        assert_eq!(world.reason(&alone(of(kind)), OnStale::Allow), Some(reason), "{kind}");
    }
    let mut renewed = alone(of(CredentialKind::Session));
    renewed.renew(NOW.after(2 * MINUTE));
    assert_eq!(world.reason(&renewed, OnStale::Allow), None);
}

#[test]
fn it_counts_no_longer_than_the_certificate_that_comes_with_it() {
    let world = world();
    let (long, soon) = (Timestamp::NEVER, NOW.after(Duration::from_secs(1)));
    let token = Arc::new(of(CredentialKind::Jwt));
    let companion = Arc::new(Verified { expires_at: soon, credential_id: "c2".into(), ..of(CredentialKind::Mtls) });
    for tenure in [Tenure::new(&token, Some(&companion), long, None), Tenure::new(&token, None, soon, None)] {
        assert_eq!(tenure.ends_at(), soon);
        assert_eq!(world.reason(&tenure, OnStale::Allow), None);
    }
    let certificate = Revocation::Certificate { fingerprint: "c2".into() };
    world.shared.revocations.add(&[LogEntry { what: certificate, until: long }]);
    assert_eq!(world.reason(&Tenure::new(&token, Some(&companion), long, None), OnStale::Allow), Some(Reason::Revoked));
    assert_eq!(world.reason(&Tenure::new(&token, None, soon, None), OnStale::Allow), None);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(
        world.reason(&Tenure::new(&token, None, soon, None), OnStale::Allow),
        Some(Reason::CertificateNotAccepted)
    );
}

#[test]
fn a_stale_log_ends_what_the_route_does_not_let_go_on() {
    let world = world();
    let token = alone(Verified { expires_at: Timestamp::NEVER, ..of(CredentialKind::Jwt) });
    world.clock.advance(Duration::from_secs(6));
    assert_eq!(world.reason(&token, OnStale::Deny), Some(Reason::RevocationStale));
    assert_eq!(world.reason(&token, OnStale::Allow), None);
}

#[tokio::test]
async fn a_sessions_end_is_that_of_its_record() {
    let world = world();
    let (_, digest) = session_secret::mint(&SystemEntropy);
    let alice = Principal::new("portcullis", "alice");
    let record = SessionRecord::new("c1", alice, NOW, MINUTE, 10 * MINUTE);
    world.store.sessions.create(&digest, &record).await.unwrap();
    let session = of(CredentialKind::Session);
    world.clock.advance(MINUTE / 2);
    world.store.sessions.touch(&digest, world.clock.now()).await.unwrap();
    world.clock.advance(MINUTE / 2);
    assert_eq!(world.renewed(&session).await, Ok(NOW.after(MINUTE + MINUTE / 2)));
    world.clock.advance(MINUTE);
    assert_eq!(world.renewed(&session).await, Err(Reason::SessionExpired));
}

#[tokio::test]
async fn a_keys_end_is_that_of_its_record() {
    let world = world();
    let minted = api_key::mint("test", &SystemEntropy);
    let record = ApiKeyRecord::new(&minted.id, minted.secret_sha256, Principal::new("portcullis", "ci"), NOW);
    world.store.api_keys.create(&record).await.unwrap();
    let key = Verified { credential_id: minted.id.as_str().into(), ..of(CredentialKind::ApiKey) };
    assert_eq!(world.renewed(&key).await, Ok(Timestamp::NEVER));
    assert_eq!(world.renewed(&of(CredentialKind::ApiKey)).await, Err(Reason::ApiKeyUnknown));
    assert_eq!(world.renewed(&of(CredentialKind::Jwt)).await, Ok(NOW.after(MINUTE)), "tokens have no record");
}
