//! `[upstream.NAME]`.

use std::time::Duration;

use super::*;
use crate::model::settings::{Retries, UpstreamSettings};

/// An upstream with two endpoints and `more`.
fn upstream(more: &str) -> UpstreamSettings {
    let loaded = good(&format!("[upstream.up]\nendpoints = ['http://a:1', 'http://b:2']\n{more}"));
    let found = loaded.settings.upstreams.iter().find(|upstream| &*upstream.name == "up").expect("the upstream");
    UpstreamSettings::clone(found)
}

/// What is said of one with `more`, without places.
fn said(more: &str) -> Vec<String> {
    let text = format!("{BASE}{ROUTE}[upstream.up]\nendpoints = ['http://a:1', 'http://b:2']\n{more}");
    problems(&text).iter().map(|line| line.split_once(' ').expect("a place").1.to_owned()).collect()
}

#[test]
fn retries_are_few_unless_said_otherwise() {
    assert_eq!(upstream("").retries, Retries { attempts: 1, budget_percent: 20 });
    assert_eq!(upstream("").retries, Retries::default());
    assert_eq!(
        upstream("retries = { attempts = 3, budget = '5%' }").retries,
        Retries { attempts: 3, budget_percent: 5 }
    );
    assert_eq!(said("retries.attempts = 11"), ["`11` is out of range"]);
    for share in ["0%", "101%", "-1%", "20", "%", "0.2"] {
        assert_eq!(said(&format!("retries.budget = '{share}'")), [format!("`{share}` is no share of the requests")]);
    }
}

#[test]
fn all_tries_together_may_have_a_time() {
    assert_eq!(upstream("").timeouts.total, None);
    assert_eq!(upstream("timeouts.total = '10s'").timeouts.total, Some(Duration::from_secs(10)));
    assert_eq!(said("timeouts.total = '0s'"), ["must not be zero"]);
}
