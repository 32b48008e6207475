//! `[[mtls]]`

use std::collections::BTreeSet;

use crate::config::keys::{Given, Key, Shape, TEXTS};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::settings::{MtlsMatch, MtlsRule};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("match", Shape::Table(MATCH), "What the certificate must have: a pattern with `{name}` captures.")
        .required(),
    Key::new(
        "subject",
        Shape::Text,
        "The subject it becomes, a template over the captures; default: what was matched.",
    ),
    Key::new("roles", TEXTS, "Roles it gets.").default(Given::Texts(&[])),
    Key::new("scopes", TEXTS, "Scopes it gets.").default(Given::Texts(&[])),
];

const MATCH: &[Key] = &[
    Key::new("uri", Shape::Text, "Against each SAN URI: `\"spiffe://cluster.local/ns/{ns}/sa/{sa}\"`."),
    Key::new("dns", Shape::Text, "Against each SAN DNS name."),
    Key::new("email", Shape::Text, "Against each SAN e-mail address."),
    Key::new("subject", Shape::Text, "Against the subject, as RFC 4514 writes it."),
];

pub(in crate::config) fn read(context: &Context<'_>) -> Vec<MtlsRule> {
    context.list("mtls").iter().filter_map(rule).collect()
}

fn rule(section: &Section<'_>) -> Option<MtlsRule> {
    let pattern = section.table("match")?;
    let kinds: Vec<&str> = ["uri", "dns", "email", "subject"].into_iter().filter(|key| pattern.has(key)).collect();
    let [kind] = kinds.as_slice() else {
        let fault = Fault::new(format!("`{}` wants one of `uri`, `dns`, `email` and `subject`", pattern.path));
        section
            .context
            .report
            .problem(pattern.place, fault.help("match = { uri = \"spiffe://cluster.local/{name}\" }"));
        return None;
    };
    let text = pattern.text(kind)?;
    let names = pattern.parse(kind, captures).unwrap_or_default();
    section.parse("subject", |template| {
        let used = captures(template)?;
        match used.difference(&names).next() {
            Some(name) => Err(Fault::new(format!("the pattern captures no `{{{name}}}`"))),
            None => Ok(()),
        }
    });
    let roles = section.parse_list("roles", |role| section.context.refer("roles", role));
    let text = text.to_owned();
    Some(MtlsRule {
        matches: match *kind {
            "uri" => MtlsMatch::Uri(text),
            "dns" => MtlsMatch::Dns(text),
            "email" => MtlsMatch::Email(text),
            _ => MtlsMatch::Subject(text),
        },
        subject: section.text("subject").unwrap_or_default().to_owned(),
        roles,
        scopes: section.shared_texts("scopes"),
    })
}

/// The names in braces; each once, and with something between two of them.
fn captures(pattern: &str) -> Result<BTreeSet<String>, Fault> {
    let wrong = |what: &str| Fault::new(what).help("captures are written `{name}`");
    if pattern.contains("}{") {
        return Err(wrong("two captures without anything between them"));
    }
    let mut names = BTreeSet::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| wrong("`{` without `}`"))?;
        if before.contains('}') || name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(wrong("braces that hold no name"));
        }
        if !names.insert(name.to_owned()) {
            return Err(wrong("the same capture twice"));
        }
        rest = after;
    }
    if rest.contains('}') { Err(wrong("`}` without `{`")) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_names_in_braces() {
        let names: Vec<_> = captures("spiffe://c/ns/{ns}/sa/{sa}").expect("a pattern").into_iter().collect();
        assert_eq!(names, ["ns", "sa"]);
        for bad in ["{", "}", "{}", "{a}{b}", "{a}/{a}", "{a b}", "{a", "a}", "{{a}}"] {
            assert!(captures(bad).is_err(), "{bad}");
        }
    }
}
