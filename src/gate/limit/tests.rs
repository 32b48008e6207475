use super::*;
use crate::gate::fixtures::{self, Asking};
use crate::model::settings::LimitKey;
use crate::model::{CredentialKind, Identity, Principal, Timestamp, Verified};

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
}

/// One limit of two in a minute.
fn limits(key: &[LimitKey], stage: LimitStage) -> RouteLimits {
    let name: Arc<str> = "l".into();
    let per = Duration::from_secs(60);
    let settings = LimitSettings { name: name.clone(), key: key.to_vec(), count: 2, per, burst: 2, stage };
    let limits = Limits::new(&BTreeMap::from([(name.clone(), settings)]), Arc::new(Still));
    RouteLimits::new(&limits, &[name, "unknown".into()])
}

const AFTER: LimitStage = LimitStage::AfterAuthentication;

fn asking(from: &str, identity: Option<&Verified>) -> Asking {
    let identity = identity.map_or(Identity::Anonymous, |verified| Identity::Verified(verified.clone().into()));
    Asking::of(&identity, from)
}

fn check(limits: &RouteLimits, stage: LimitStage, from: &str, identity: Option<&Verified>) -> Result<(), Denial> {
    asking(from, identity).put(|case| limits.check(stage, case))
}

fn failed(limits: &RouteLimits, from: &str) {
    asking(from, None).put(|case| limits.failed(case));
}

fn somebody(subject: &str, tenant: Option<&str>) -> Verified {
    Verified {
        principal: Principal::new("https://id.example.com", subject),
        tenant: tenant.map(Into::into),
        ..fixtures::verified(CredentialKind::Jwt)
    }
}

fn passes(limits: &RouteLimits, stage: LimitStage, from: &str, identity: Option<&Verified>) -> bool {
    check(limits, stage, from, identity).is_ok()
}

#[test]
fn a_refusal_says_which_limit_and_when_to_come_back() {
    let limits = limits(&[LimitKey::ClientAddress], LimitStage::BeforeAuthentication);
    let check = || check(&limits, LimitStage::BeforeAuthentication, "192.0.2.1", None);
    check().unwrap();
    check().unwrap();
    let denial = check().unwrap_err();
    assert_eq!(denial.reason, Reason::RateLimited);
    assert_eq!(denial.retry_after, Some(Duration::from_secs(30)));
    let used_up = UsedUp { name: "l".into(), count: 2, per: Duration::from_secs(60) };
    assert_eq!(denial.limit.as_deref(), Some(&used_up));
}

#[test]
fn a_limit_counts_at_its_own_stage_alone() {
    let limits = limits(&[LimitKey::ClientAddress], LimitStage::BeforeAuthentication);
    for _ in 0..10 {
        assert!(passes(&limits, AFTER, "192.0.2.1", None));
        assert!(passes(&limits, LimitStage::FailedAuthentication, "192.0.2.1", None));
        failed(&limits, "192.0.2.1");
    }
    assert!(passes(&limits, LimitStage::BeforeAuthentication, "192.0.2.1", None));
}

#[test]
fn ipv6_counts_by_subscriber_and_mapped_ipv4_as_ipv4() {
    const BEFORE: LimitStage = LimitStage::BeforeAuthentication;
    let limits = limits(&[LimitKey::ClientAddress], BEFORE);
    assert!(passes(&limits, BEFORE, "2001:db8:0:1::1", None));
    assert!(passes(&limits, BEFORE, "2001:db8:0:1::2", None));
    assert!(!passes(&limits, BEFORE, "2001:db8:0:1:ffff::3", None));
    assert!(passes(&limits, BEFORE, "2001:db8:0:2::1", None));
    assert!(passes(&limits, BEFORE, "192.0.2.1", None));
    assert!(passes(&limits, BEFORE, "::ffff:192.0.2.1", None));
    assert!(!passes(&limits, BEFORE, "192.0.2.1", None));
    assert!(passes(&limits, BEFORE, "::ffff:192.0.2.2", None));
}

#[test]
fn a_principal_is_counted_wherever_it_calls_from() {
    let limits = limits(&[LimitKey::Principal], AFTER);
    let alice = somebody("alice", None);
    assert!(passes(&limits, AFTER, "192.0.2.1", Some(&alice)));
    assert!(passes(&limits, AFTER, "192.0.2.2", Some(&alice)));
    assert!(!passes(&limits, AFTER, "192.0.2.3", Some(&alice)));
    assert!(passes(&limits, AFTER, "192.0.2.3", Some(&somebody("bob", None))));
}

#[test]
fn nobody_escapes_by_lacking_what_is_counted() {
    let limits = limits(&[LimitKey::Tenant], AFTER);
    for _ in 0..2 {
        assert!(passes(&limits, AFTER, "192.0.2.1", Some(&somebody("alice", None))));
        assert!(passes(&limits, AFTER, "192.0.2.1", None));
    }
    assert!(!passes(&limits, AFTER, "192.0.2.2", Some(&somebody("alice", None))));
    assert!(!passes(&limits, AFTER, "192.0.2.1", None));
    assert!(passes(&limits, AFTER, "192.0.2.2", None));
    // One tenant, two people.
    assert!(passes(&limits, AFTER, "192.0.2.1", Some(&somebody("alice", Some("acme")))));
    assert!(passes(&limits, AFTER, "192.0.2.1", Some(&somebody("bob", Some("acme")))));
    assert!(!passes(&limits, AFTER, "192.0.2.1", Some(&somebody("carol", Some("acme")))));
}

#[test]
fn a_tuple_counts_its_parts_together() {
    let limits = limits(&[LimitKey::ClientAddress, LimitKey::Principal], AFTER);
    let alice = somebody("alice", None);
    assert!(passes(&limits, AFTER, "192.0.2.1", Some(&alice)));
    assert!(passes(&limits, AFTER, "192.0.2.1", Some(&alice)));
    assert!(!passes(&limits, AFTER, "192.0.2.1", Some(&alice)));
    assert!(passes(&limits, AFTER, "192.0.2.2", Some(&alice)));
}

#[test]
fn failures_are_counted_when_they_fail_and_refuse_the_next_attempt() {
    const FAILED: LimitStage = LimitStage::FailedAuthentication;
    let limits = limits(&[LimitKey::ClientAddress], FAILED);
    let check = |from| check(&limits, FAILED, from, None);
    for _ in 0..10 {
        check("192.0.2.1").unwrap();
    }
    failed(&limits, "192.0.2.1");
    check("192.0.2.1").unwrap();
    failed(&limits, "192.0.2.1");
    let denial = check("192.0.2.1").unwrap_err();
    assert_eq!(denial.reason, Reason::TooManyFailures);
    assert_eq!(denial.retry_after, Some(Duration::from_secs(30)));
    check("192.0.2.2").unwrap();
}
