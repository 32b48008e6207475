use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::gate::fixtures::{self, Asking};
use crate::model::Timestamp;
use crate::model::settings::{ClaimTest, ClaimValue, PermissionPattern, Rule};
use crate::model::{CredentialKind, Identity, Principal, Verified};
use http::Method;
use std::time::Duration;

fn policy(deny: Vec<Rule>, allow: Vec<Rule>) -> Policy {
    Policy::new(&Rules { deny, allow }, &table())
}

/// `admin` > `editor` > `viewer`.
fn table() -> RoleTable {
    let exact = |p: &str| PermissionPattern::Exact(p.into());
    let prefix = |p: &str| PermissionPattern::Prefix(p.into());
    let grants = BTreeMap::from([
        ("viewer".into(), BTreeSet::from([exact("orders:read")])),
        ("editor".into(), BTreeSet::from([exact("orders:read"), exact("orders:write")])),
        ("billing".into(), BTreeSet::from([prefix("invoices:")])),
        ("admin".into(), BTreeSet::from([PermissionPattern::Any])),
    ]);
    let implies = BTreeMap::from([
        ("viewer".into(), BTreeSet::from(["viewer".into()])),
        ("editor".into(), BTreeSet::from(["editor".into(), "viewer".into()])),
        ("admin".into(), BTreeSet::from(["admin".into(), "editor".into(), "viewer".into()])),
    ]);
    RoleTable { grants, implies }
}

fn list(items: &[&str]) -> Vec<std::sync::Arc<str>> {
    items.iter().map(|&i| i.into()).collect()
}

fn with(change: impl FnOnce(&mut Verified)) -> Identity {
    let mut verified = fixtures::verified(CredentialKind::Jwt);
    change(&mut verified);
    Identity::Verified(verified.into())
}

fn having_roles(roles: &[&str]) -> Identity {
    with(|v| v.roles = list(roles))
}

/// The allow rule that matched.
fn decide(policy: &Policy, method: &Method, identity: &Identity, address: &str) -> Result<Option<String>, Denial> {
    let asking = Asking { method: method.clone(), ..Asking::of(identity, address) };
    asking.put(|case| policy.decide(case).map(|ruled| ruled.allowed_by.map(str::to_owned)))
}

fn reason(policy: &Policy, identity: &Identity) -> Option<Reason> {
    decide(policy, &Method::GET, identity, "192.0.2.1").err().map(|d| d.reason)
}

fn named(name: &str) -> Rule {
    Rule { name: name.into(), ..Rule::default() }
}

#[test]
fn a_route_without_rules_admits_whom_it_accepts() {
    let open = policy(vec![], vec![]);
    assert_eq!(decide(&open, &Method::GET, &having_roles(&[]), "192.0.2.1").unwrap(), None);
    assert_eq!(decide(&open, &Method::GET, &Identity::Anonymous, "192.0.2.1").unwrap(), None);
}

#[test]
fn the_allow_rule_that_matched_is_named() {
    let rules = vec![Rule { roles: list(&["admin"]), ..named("first") }, named("second")];
    let p = policy(vec![], rules);
    assert_eq!(decide(&p, &Method::GET, &having_roles(&[]), "192.0.2.1").unwrap().as_deref(), Some("second"));
    assert_eq!(decide(&p, &Method::GET, &having_roles(&["admin"]), "192.0.2.1").unwrap().as_deref(), Some("first"));
}

#[test]
fn deny_goes_before_allow() {
    let deny = Rule { groups: list(&["suspended"]), ..named("route.x.deny[0]") };
    let p = policy(vec![deny], vec![named("all")]);
    let denial = decide(&p, &Method::GET, &with(|v| v.groups = list(&["suspended"])), "192.0.2.1").unwrap_err();
    assert_eq!(denial.reason, Reason::DeniedByRule);
    let detail = denial.detail.unwrap();
    assert!(detail.starts_with("route.x.deny[0] refuses groups [\"suspended\"]; request has "), "{detail}");
    assert!(detail.contains("|\"alice\" groups [\"suspended\"]"), "the log says who: {detail}");
    assert_eq!(reason(&p, &having_roles(&[])), None);
}

#[test]
fn roles_count_with_what_they_imply_and_no_other_way_round() {
    let p = policy(vec![], vec![Rule { roles: list(&["editor"]), ..named("r") }]);
    assert_eq!(reason(&p, &having_roles(&["admin"])), None);
    assert_eq!(reason(&p, &having_roles(&["editor"])), None);
    assert_eq!(reason(&p, &having_roles(&["viewer"])), Some(Reason::NotAllowed));
    // A role outside the table is still a role.
    let p = policy(vec![], vec![Rule { roles: list(&["from-the-issuer"]), ..named("r") }]);
    assert_eq!(reason(&p, &having_roles(&["from-the-issuer"])), None);
}

#[test]
fn a_deny_rule_on_a_role_counts_implied_roles_too() {
    let p = policy(vec![Rule { roles: list(&["viewer"]), ..named("d") }], vec![]);
    assert_eq!(reason(&p, &having_roles(&["admin"])), Some(Reason::DeniedByRule));
}

#[test]
fn all_permissions_are_needed_from_whatever_roles() {
    let p = policy(vec![], vec![Rule { permissions: list(&["orders:write", "invoices:send"]), ..named("r") }]);
    assert_eq!(reason(&p, &having_roles(&["editor"])), Some(Reason::NotAllowed));
    assert_eq!(reason(&p, &having_roles(&["billing"])), Some(Reason::NotAllowed));
    assert_eq!(reason(&p, &having_roles(&["billing", "editor"])), None);
    assert_eq!(reason(&p, &having_roles(&["admin"])), None);
    assert_eq!(reason(&p, &having_roles(&["orders:write"])), Some(Reason::NotAllowed));
}

#[test]
fn parts_of_a_rule_all_count() {
    let rule = Rule { methods: vec![Method::GET], roles: list(&["viewer"]), groups: list(&["a", "b"]), ..named("r") };
    let p = policy(vec![], vec![rule]);
    let fitting = with(|v| {
        v.roles = list(&["viewer"]);
        v.groups = list(&["b"]);
    });
    assert_eq!(reason(&p, &fitting), None);
    assert_eq!(reason(&p, &having_roles(&["viewer"])), Some(Reason::NotAllowed));
    assert!(decide(&p, &Method::PUT, &fitting, "192.0.2.1").is_err());
}

#[test]
fn missing_scopes_are_told_where_nothing_else_was_missing() {
    let p = policy(
        vec![],
        vec![
            Rule { roles: list(&["admin"]), scopes: list(&["all"]), ..named("a") },
            Rule { scopes: list(&["orders:read", "orders:list"]), ..named("b") },
        ],
    );
    let identity = with(|v| v.scopes = list(&["orders:read"]));
    let denial = decide(&p, &Method::GET, &identity, "192.0.2.1").unwrap_err();
    assert_eq!(denial.reason, Reason::InsufficientScope);
    assert_eq!(denial.wanted_scopes, list(&["orders:read", "orders:list"]));
    let both = with(|v| v.scopes = list(&["orders:list", "orders:read"]));
    assert_eq!(reason(&p, &both), None);

    let p = policy(vec![], vec![Rule { roles: list(&["admin"]), scopes: list(&["all"]), ..named("a") }]);
    assert_eq!(reason(&p, &identity), Some(Reason::NotAllowed));
}

#[test]
fn a_principal_is_the_pair() {
    let p = policy(vec![], vec![Rule { principals: vec![Principal::new("https://a", "alice")], ..named("r") }]);
    assert_eq!(reason(&p, &with(|v| v.principal = Principal::new("https://a", "alice"))), None);
    let other_issuer = with(|v| v.principal = Principal::new("https://b", "alice"));
    assert_eq!(reason(&p, &other_issuer), Some(Reason::NotAllowed));
}

#[test]
fn networks_hold_in_either_form_of_an_address() {
    let network: IpNet = "192.0.2.0/24".parse().unwrap();
    let p = policy(vec![Rule { networks: vec![network], ..named("d") }], vec![]);
    for address in ["192.0.2.9", "::ffff:192.0.2.9"] {
        let denied = decide(&p, &Method::GET, &Identity::Anonymous, address);
        assert_eq!(denied.unwrap_err().reason, Reason::DeniedByRule, "{address}");
    }
    assert!(decide(&p, &Method::GET, &Identity::Anonymous, "198.51.100.1").is_ok());
}

#[test]
fn a_rule_on_facts_never_matches_nobody() {
    let rules = [
        Rule { roles: list(&["viewer"]), ..named("r") },
        Rule { permissions: list(&["orders:read"]), ..named("r") },
        Rule { scopes: list(&["a"]), ..named("r") },
        Rule { groups: list(&["a"]), ..named("r") },
        Rule { principals: vec![Principal::new("a", "b")], ..named("r") },
    ];
    for rule in rules {
        assert_eq!(reason(&policy(vec![], vec![rule.clone()]), &Identity::Anonymous), Some(Reason::NotAllowed));
        assert_eq!(reason(&policy(vec![rule], vec![]), &Identity::Anonymous), None);
    }
}

#[test]
fn f63_the_log_line_names_both_sides_and_cannot_be_broken_by_a_value() {
    let p = policy(vec![], vec![Rule { roles: list(&["admin"]), ..named("route.x.allow[0]") }]);
    let identity = with(|v| v.roles = list(&["view\r\ner"]));
    let denial = decide(&p, &Method::GET, &identity, "192.0.2.1").unwrap_err();
    let detail = denial.detail.unwrap();
    assert!(detail.contains(r#"route.x.allow[0] wants roles ["admin"]"#), "{detail}");
    assert!(detail.contains(r#"roles ["view\r\ner"]"#), "{detail}");
    assert!(!detail.contains(char::is_control), "{detail}");
}

#[test]
fn tenants_and_claims_are_compared_with_their_types() {
    let test = |claim: &str, one_of: Vec<ClaimValue>| {
        policy(vec![], vec![Rule { claims: vec![ClaimTest { claim: claim.into(), one_of }], ..named("r") }])
    };
    let claims = serde_json::json!({
        "plan": "pro", "level": 3, "verified": true, "teams": ["a", "b"], "deep": { "x/y": [1, 2] }, "truth": "true",
    });
    let identity = with(|v| v.claims = std::sync::Arc::new(claims.as_object().unwrap().clone()));
    let text = |text: &str| ClaimValue::Text(text.into());
    for (claim, one_of, fits) in [
        ("plan", vec![text("free"), text("pro")], true),
        ("plan", vec![text("free")], false),
        ("level", vec![ClaimValue::Integer(3)], true),
        ("level", vec![text("3")], false),
        ("verified", vec![ClaimValue::Boolean(true)], true),
        ("truth", vec![ClaimValue::Boolean(true)], false),
        ("teams", vec![text("b")], true),
        ("teams", vec![text("c")], false),
        ("/deep/x~1y", vec![ClaimValue::Integer(2)], true),
        ("/deep", vec![ClaimValue::Integer(2)], false),
        ("absent", vec![text("")], false),
    ] {
        assert_eq!(reason(&test(claim, one_of.clone()), &identity).is_none(), fits, "{claim} {one_of:?}");
    }
    let p = policy(vec![], vec![Rule { tenants: list(&["acme"]), ..named("r") }]);
    assert_eq!(reason(&p, &with(|v| v.tenant = Some("acme".into()))), None);
    assert_eq!(reason(&p, &with(|v| v.tenant = Some("evil".into()))), Some(Reason::NotAllowed));
    assert_eq!(reason(&p, &with(|v| v.tenant = None)), Some(Reason::NotAllowed));
}

/// `Asking` stands at a million seconds.
fn logged_in(seconds_ago: i64) -> Timestamp {
    Timestamp::from_secs(u64::try_from(1_000_000 - seconds_ago).unwrap())
}

#[test]
fn whoever_lacks_a_fresh_or_strong_login_alone_is_asked_for_it() {
    let rule = Rule {
        roles: list(&["viewer"]),
        authenticated_within: Some(Duration::from_secs(900)),
        acr: list(&["loa2", "loa3"]),
        amr: list(&["mfa"]),
        ..named("r")
    };
    let p = policy(vec![], vec![rule]);
    let viewer = |change: fn(&mut Verified)| {
        with(|v| {
            v.roles = list(&["viewer"]);
            v.authenticated_at = Some(logged_in(900));
            v.acr = Some("loa3".into());
            v.amr = list(&["pwd", "mfa"]);
            change(v);
        })
    };
    assert_eq!(reason(&p, &viewer(|_| ())), None);
    let weak: [fn(&mut Verified); 7] = [
        |v| v.authenticated_at = Some(logged_in(901)),
        |v| v.authenticated_at = None,
        // Said to lie ahead by more than clocks differ.
        |v| v.authenticated_at = Some(logged_in(-61)),
        |v| v.acr = Some("loa1".into()),
        |v| v.acr = None,
        |v| v.amr = list(&["pwd"]),
        |v| v.amr = vec![],
    ];
    for change in weak {
        let denial = decide(&p, &Method::GET, &viewer(change), "192.0.2.1").unwrap_err();
        assert_eq!(denial.reason, Reason::StepUp);
        let wanted = StepUp { acr_values: list(&["loa2", "loa3"]), max_age: Some(Duration::from_secs(900)) };
        assert_eq!(denial.step_up.as_deref(), Some(&wanted));
    }
    // A login would not help who lacks more than that.
    assert_eq!(reason(&p, &with(|v| v.authenticated_at = None)), Some(Reason::NotAllowed));
    assert_eq!(reason(&p, &Identity::Anonymous), Some(Reason::NotAllowed));
}

fn reporting(rule: Rule) -> Rule {
    Rule { mode: RuleMode::Report, ..rule }
}

fn objection(policy: &Policy, identity: &Identity) -> Option<String> {
    let ruled = |case: &Case<'_>| policy.decide(case).unwrap().would_deny.map(|objection| objection.rule.to_string());
    Asking::of(identity, "192.0.2.1").put(ruled)
}

#[test]
fn a_rule_that_reports_says_what_it_would_refuse_and_lets_it_pass() {
    let suspended = with(|v| v.groups = list(&["suspended"]));
    let deny = reporting(Rule { groups: list(&["suspended"]), ..named("d") });
    let p = policy(vec![deny], vec![]);
    assert_eq!(objection(&p, &suspended).as_deref(), Some("d"));
    assert_eq!(objection(&p, &having_roles(&[])), None);

    // The first allow rules of a route: nobody is refused yet.
    let p = policy(vec![], vec![reporting(Rule { roles: list(&["admin"]), ..named("a") })]);
    assert_eq!(objection(&p, &having_roles(&["viewer"])).as_deref(), Some("a"));
    assert_eq!(objection(&p, &having_roles(&["admin"])), None);

    // Beside one that counts, a further allow rule could refuse nobody, and admits nobody yet.
    let counting = Rule { roles: list(&["viewer"]), ..named("counts") };
    let p = policy(vec![], vec![counting, reporting(Rule { groups: list(&["x"]), ..named("a") })]);
    assert_eq!(objection(&p, &having_roles(&["viewer"])), None);
    assert_eq!(reason(&p, &with(|v| v.groups = list(&["x"]))), Some(Reason::NotAllowed));
}

fn any_names() -> impl Strategy<Value = Vec<std::sync::Arc<str>>> {
    let name = prop::sample::select(vec!["viewer", "editor", "admin", "billing", "orders:read", "x"]);
    prop::collection::vec(name.prop_map(Into::into), 0..3)
}

prop_compose! {
    fn any_rule()(
        methods in prop::collection::vec(prop::sample::select(vec![Method::GET, Method::PUT]), 0..2),
        roles in any_names(), permissions in any_names(), scopes in any_names(), groups in any_names(),
        network in prop::sample::select(vec![None, Some("192.0.2.0/24"), Some("::/0")]),
    ) -> Rule {
        let networks = network.map(|n| n.parse().unwrap()).into_iter().collect();
        Rule { name: "r".into(), methods, roles, permissions, scopes, groups, networks, ..Rule::default() }
    }
}

proptest! {
    #[test]
    fn f26_a_further_deny_rule_never_allows_more(
        deny in prop::collection::vec(any_rule(), 0..3),
        allow in prop::collection::vec(any_rule(), 0..3),
        further in any_rule(),
        roles in any_names(), scopes in any_names(), groups in any_names(), anonymous: bool,
    ) {
        let identity = if anonymous {
            Identity::Anonymous
        } else {
            with(|v| { v.roles = roles; v.scopes = scopes; v.groups = groups; })
        };
        let before = policy(deny.clone(), allow.clone());
        let mut more = deny;
        more.push(further);
        let after = policy(more, allow);
        for address in ["192.0.2.1", "2001:db8::1"] {
            let decide = |p: &Policy| decide(p, &Method::GET, &identity, address).is_ok();
            prop_assert!(!decide(&after) || decide(&before));
        }
    }

    #[test]
    fn rules_that_report_never_change_an_answer(
        deny in prop::collection::vec(any_rule(), 0..3),
        allow in prop::collection::vec(any_rule(), 0..3),
        reported in prop::collection::vec((any_rule(), any::<bool>()), 1..4),
        roles in any_names(), scopes in any_names(), groups in any_names(), anonymous: bool,
    ) {
        let identity = if anonymous {
            Identity::Anonymous
        } else {
            with(|v| { v.roles = roles; v.scopes = scopes; v.groups = groups; })
        };
        let without = policy(deny.clone(), allow.clone());
        let (mut more_deny, mut more_allow) = (deny, allow);
        for (rule, is_deny) in reported {
            if is_deny { &mut more_deny } else { &mut more_allow }.insert(0, reporting(rule));
        }
        let with_them = policy(more_deny, more_allow);
        for address in ["192.0.2.1", "2001:db8::1"] {
            let answer = |p: &Policy| decide(p, &Method::GET, &identity, address).map_err(|denial| denial.reason);
            prop_assert_eq!(answer(&with_them), answer(&without));
        }
    }
}
