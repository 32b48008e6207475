use super::*;
use crate::gate::fixtures;
use crate::model::Principal;

const NOW: Timestamp = Timestamp(1_000_000);
const LATER: Timestamp = Timestamp(2_000_000);

fn fresh() -> RevocationSet {
    let set = RevocationSet::new(Duration::from_secs(5));
    set.fresh_as_of(NOW);
    set
}

fn entry(what: Revocation) -> LogEntry {
    LogEntry { what, until: LATER }
}

fn with(what: Revocation) -> RevocationSet {
    let set = fresh();
    set.add(&[entry(what)]);
    set
}

fn reason(set: &RevocationSet, identity: &Verified) -> Option<Reason> {
    set.check(identity, OnStale::Deny, NOW).err().map(|denial| denial.reason)
}

fn of(kind: CredentialKind) -> Verified {
    fixtures::verified(kind)
}

fn alice() -> Principal {
    of(CredentialKind::Jwt).principal
}

#[test]
fn a_credential_is_revoked_by_its_kind_and_id() {
    let cases = [
        (CredentialKind::Jwt, Revocation::Token { issuer: alice().issuer, id: "c1".into() }),
        (CredentialKind::Session, Revocation::Session { id: "c1".into() }),
        (CredentialKind::ApiKey, Revocation::ApiKey { id: "c1".into() }),
        (CredentialKind::Mtls, Revocation::Certificate { fingerprint: "c1".into() }),
    ];
    for (kind, what) in &cases {
        let set = with(what.clone());
        for (other, _) in &cases {
            let expected = (kind == other).then_some(Reason::Revoked);
            assert_eq!(reason(&set, &of(*other)), expected, "{what:?} on {other}");
        }
        let another = Verified { credential_id: "c2".into(), ..of(*kind) };
        assert_eq!(reason(&set, &another), None);
    }
}

#[test]
fn f30_a_token_is_named_by_issuer_and_id() {
    let set = with(Revocation::Token { issuer: "https://other.example.com".into(), id: "c1".into() });
    assert_eq!(reason(&set, &of(CredentialKind::Jwt)), None);
}

#[test]
fn all_of_a_principal_before_a_time_is_revoked_and_what_does_not_say_when() {
    let set = with(Revocation::PrincipalBefore { principal: alice(), before: Timestamp(5_000) });
    for kind in [CredentialKind::Jwt, CredentialKind::Session, CredentialKind::ApiKey, CredentialKind::Mtls] {
        let issued = |issued_at| Verified { issued_at, ..of(kind) };
        assert_eq!(reason(&set, &issued(Some(Timestamp(4_999)))), Some(Reason::Revoked));
        assert_eq!(reason(&set, &issued(None)), Some(Reason::Revoked));
        assert_eq!(reason(&set, &issued(Some(Timestamp(5_000)))), None);
    }
    let bob = Verified { principal: Principal { subject: "bob".into(), ..alice() }, ..of(CredentialKind::Jwt) };
    assert_eq!(reason(&set, &bob), None);
}

#[test]
fn sessions_are_revoked_by_generation() {
    let set = with(Revocation::Sessions { principal: alice(), generation: 3 });
    let session = |generation| Verified { generation, ..of(CredentialKind::Session) };
    assert_eq!(reason(&set, &session(2)), Some(Reason::Revoked));
    assert_eq!(reason(&set, &session(3)), None);
    assert_eq!(reason(&set, &of(CredentialKind::Jwt)), None, "tokens have no generation");
}

#[test]
fn a_family_goes_with_all_that_came_of_it() {
    let set = with(Revocation::Family { id: "f1".into() });
    let member = Verified { family: Some("f1".into()), ..of(CredentialKind::Jwt) };
    assert_eq!(reason(&set, &member), Some(Reason::Revoked));
    assert_eq!(reason(&set, &of(CredentialKind::Jwt)), None);
}

#[test]
fn a_revoked_certificate_takes_along_the_tokens_bound_to_it() {
    let set = with(Revocation::Certificate { fingerprint: "0f".repeat(32).into() });
    assert!(set.certificate_revoked(&[0x0f; 32]));
    assert!(!set.certificate_revoked(&[0xf0; 32]));
    let bound = Verified { bound_certificate: Some([0x0f; 32]), ..of(CredentialKind::Jwt) };
    assert_eq!(reason(&set, &bound), Some(Reason::Revoked));
}

#[test]
fn the_stricter_of_two_entries_counts() {
    let before = |at| entry(Revocation::PrincipalBefore { principal: alice(), before: Timestamp(at) });
    for entries in [[before(5_000), before(9_000)], [before(9_000), before(5_000)]] {
        let set = fresh();
        set.add(&entries);
        assert_eq!(set.len(), 1);
        let issued = Verified { issued_at: Some(Timestamp(8_000)), ..of(CredentialKind::Jwt) };
        assert_eq!(reason(&set, &issued), Some(Reason::Revoked));
    }
    let set = fresh();
    let session = |until| LogEntry { what: Revocation::Session { id: "c1".into() }, until };
    set.add(&[session(LATER), session(NOW)]);
    set.prune(0, 1, Timestamp(LATER.0 - 1));
    assert_eq!(reason(&set, &of(CredentialKind::Session)), Some(Reason::Revoked));
}

#[test]
fn expired_entries_go_and_the_others_stay() {
    let set = fresh();
    let key = |id: &str, until| LogEntry { what: Revocation::ApiKey { id: id.into() }, until };
    let entries: Vec<_> = (0..1000).map(|n| key(&n.to_string(), if n % 2 == 0 { NOW } else { LATER })).collect();
    set.add(&entries);
    assert_eq!(set.len(), 1000);
    for part in 0..16 {
        set.prune(part, 16, NOW.after(Duration::from_millis(1)));
    }
    assert_eq!(set.len(), 500);
    for n in 0..1000 {
        let key = Verified { credential_id: n.to_string().into(), ..of(CredentialKind::ApiKey) };
        assert_eq!(reason(&set, &key).is_some(), n % 2 == 1, "{n}");
    }
}

#[test]
fn replacing_leaves_what_was_given_and_has_not_expired() {
    let set = with(Revocation::ApiKey { id: "old".into() });
    let expired = LogEntry { what: Revocation::Session { id: "gone".into() }, until: Timestamp(1) };
    set.replace(vec![entry(Revocation::Session { id: "c1".into() }), expired], NOW);
    assert_eq!(set.len(), 1);
    assert_eq!(reason(&set, &of(CredentialKind::Session)), Some(Reason::Revoked));
    assert_eq!(reason(&set, &Verified { credential_id: "old".into(), ..of(CredentialKind::ApiKey) }), None);
    set.replace(vec![], NOW);
    assert!(set.is_empty());
    assert_eq!(reason(&set, &of(CredentialKind::Session)), None);
}

#[test]
fn a_change_revokes_nothing() {
    let set = with(Revocation::Changed { id: "c1".into() });
    assert!(set.is_empty());
    assert_eq!(reason(&set, &of(CredentialKind::Session)), None);
}

#[test]
fn what_is_stale_is_refused_unless_the_route_says_otherwise() {
    let identity = of(CredentialKind::Jwt);
    let set = RevocationSet::new(Duration::from_secs(5));
    let check =
        |set: &RevocationSet, on_stale, now| set.check(&identity, on_stale, now).map_err(|denial| denial.reason);
    assert_eq!(set.staleness(NOW), None);
    assert_eq!(check(&set, OnStale::Deny, NOW), Err(Reason::RevocationStale), "never read");
    assert_eq!(check(&set, OnStale::Allow, NOW), Ok(()));
    set.fresh_as_of(NOW);
    let at = |secs| NOW.after(Duration::from_secs(secs));
    assert_eq!(check(&set, OnStale::Deny, at(5)), Ok(()));
    assert_eq!(check(&set, OnStale::Deny, at(6)), Err(Reason::RevocationStale));
    assert_eq!(check(&set, OnStale::Allow, at(6)), Ok(()));
    assert_eq!(set.staleness(at(6)), Some(Duration::from_secs(6)));
}

#[test]
fn a_clock_that_was_set_back_does_not_make_old_knowledge_fresh() {
    let set = fresh();
    let back = NOW.before(Duration::from_secs(60));
    let denial = set.check(&of(CredentialKind::Jwt), OnStale::Deny, back).unwrap_err();
    assert_eq!(denial.reason, Reason::RevocationStale);
}

#[test]
fn what_is_known_to_be_revoked_is_refused_however_stale() {
    let set = with(Revocation::ApiKey { id: "c1".into() });
    let much_later = NOW.after(Duration::from_secs(600));
    for on_stale in [OnStale::Allow, OnStale::Deny] {
        let denial = set.check(&of(CredentialKind::ApiKey), on_stale, much_later).unwrap_err();
        assert_eq!(denial.reason, Reason::Revoked);
    }
}

#[test]
fn what_the_other_side_lacks_or_has_less_strictly_is_missing() {
    let set = fresh();
    let before = |at| entry(Revocation::PrincipalBefore { principal: alice(), before: Timestamp(at) });
    let session = entry(Revocation::Session { id: "s".into() });
    let expired = LogEntry { what: Revocation::Session { id: "gone".into() }, until: Timestamp(1) };
    set.add(&[before(9), session.clone(), expired]);
    assert_eq!(set.missing_from(&[before(5), session.clone()], NOW), vec![before(9)]);
    assert_eq!(set.missing_from(&[before(10), session], NOW), vec![]);
    assert_eq!(set.missing_from(&[], NOW).len(), 2);
}

#[test]
fn readers_never_miss_an_entry_while_others_come_and_go() {
    let set = with(Revocation::ApiKey { id: "c1".into() });
    let identity = of(CredentialKind::ApiKey);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..2000 {
                let other = LogEntry { what: Revocation::ApiKey { id: n.to_string().into() }, until: Timestamp(1) };
                set.add(&[other]);
                set.prune(n % 4, 4, NOW);
                if n % 100 == 0 {
                    set.replace(vec![entry(Revocation::ApiKey { id: "c1".into() })], NOW);
                }
            }
        });
        while !writer.is_finished() {
            assert_eq!(reason(&set, &identity), Some(Reason::Revoked));
        }
    });
}
