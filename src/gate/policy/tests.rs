use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::gate::fixtures;
use crate::model::settings::{PermissionPattern, Rule};
use crate::model::{CredentialKind, Principal, Verified};

fn policy(deny: Vec<Rule>, allow: Vec<Rule>) -> Policy {
    Policy::new(&RouteSettings { deny, allow, ..fixtures::route() }, &table())
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

fn from(address: &str) -> Client {
    fixtures::client(address)
}

fn reason(policy: &Policy, identity: &Identity) -> Option<Reason> {
    policy.decide(&Method::GET, identity, &from("192.0.2.1")).err().map(|d| d.reason)
}

fn named(name: &str) -> Rule {
    Rule { name: name.into(), ..Rule::default() }
}

#[test]
fn a_route_without_rules_admits_whom_it_accepts() {
    let open = policy(vec![], vec![]);
    assert_eq!(open.decide(&Method::GET, &having_roles(&[]), &from("192.0.2.1")).unwrap(), None);
    assert_eq!(open.decide(&Method::GET, &Identity::Anonymous, &from("192.0.2.1")).unwrap(), None);
}

#[test]
fn the_allow_rule_that_matched_is_named() {
    let rules = vec![Rule { roles: list(&["admin"]), ..named("first") }, named("second")];
    let p = policy(vec![], rules);
    assert_eq!(p.decide(&Method::GET, &having_roles(&[]), &from("192.0.2.1")).unwrap(), Some("second"));
    assert_eq!(p.decide(&Method::GET, &having_roles(&["admin"]), &from("192.0.2.1")).unwrap(), Some("first"));
}

#[test]
fn deny_goes_before_allow() {
    let deny = Rule { groups: list(&["suspended"]), ..named("route.x.deny[0]") };
    let p = policy(vec![deny], vec![named("all")]);
    let denial = p.decide(&Method::GET, &with(|v| v.groups = list(&["suspended"])), &from("192.0.2.1")).unwrap_err();
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
    assert!(p.decide(&Method::PUT, &fitting, &from("192.0.2.1")).is_err());
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
    let denial = p.decide(&Method::GET, &identity, &from("192.0.2.1")).unwrap_err();
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
        let denied = p.decide(&Method::GET, &Identity::Anonymous, &from(address));
        assert_eq!(denied.unwrap_err().reason, Reason::DeniedByRule, "{address}");
    }
    assert!(p.decide(&Method::GET, &Identity::Anonymous, &from("198.51.100.1")).is_ok());
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
    let denial = p.decide(&Method::GET, &identity, &from("192.0.2.1")).unwrap_err();
    let detail = denial.detail.unwrap();
    assert!(detail.contains(r#"route.x.allow[0] wants roles ["admin"]"#), "{detail}");
    assert!(detail.contains(r#"roles ["view\r\ner"]"#), "{detail}");
    assert!(!detail.contains(char::is_control), "{detail}");
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
        Rule { name: "r".into(), methods, roles, permissions, scopes, groups, principals: vec![], networks }
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
            let decide = |p: &Policy| p.decide(&Method::GET, &identity, &from(address)).is_ok();
            prop_assert!(!decide(&after) || decide(&before));
        }
    }
}
