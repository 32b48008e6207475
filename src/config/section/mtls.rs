//! `[[mtls]]`

use std::collections::BTreeSet;

use crate::config::keys::{Given, Key, Shape, TEXTS};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::settings::{MtlsMatch, MtlsRule};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "match",
        Shape::Table(MATCH),
        "What the certificate must have, all of it: patterns with `{name}` captures.",
    )
    .required(),
    Key::new(
        "subject",
        Shape::Text,
        "The subject it becomes, a template over the captures; default: what the first pattern matched.",
    ),
    Key::new("tenant", Shape::Text, "The tenant it belongs to, a template likewise."),
    Key::new("groups", TEXTS, "The groups it is in, templates likewise.").default(Given::Texts(&[])),
    Key::new("roles", TEXTS, "Roles it gets.").default(Given::Texts(&[])),
    Key::new("scopes", TEXTS, "Scopes it gets.").default(Given::Texts(&[])),
];

const MATCH: &[Key] = &[
    Key::new("uri", Shape::Text, "Against each SAN URI: `\"spiffe://cluster.local/ns/{ns}/sa/{sa}\"`."),
    Key::new("dns", Shape::Text, "Against each SAN DNS name."),
    Key::new("email", Shape::Text, "Against each SAN e-mail address."),
    Key::new("subject", Shape::Text, "Against the subject, as RFC 4514 writes it."),
    Key::new("issuer", Shape::Text, "Against the issuer, as RFC 4514 writes it: `\"CN=Partner CA,O=Example\"`."),
];

pub(in crate::config) fn read(context: &Context<'_>) -> Vec<MtlsRule> {
    context.list("mtls").iter().filter_map(rule).collect()
}

/// The keys of `match`; the first that is there is what a rule without `subject` goes by.
const FIELDS: [&str; 5] = ["uri", "dns", "email", "subject", "issuer"];

fn rule(section: &Section<'_>) -> Option<MtlsRule> {
    let pattern = section.table("match")?;
    let kinds: Vec<&str> = FIELDS.into_iter().filter(|key| pattern.has(key)).collect();
    // An issuer alone says of nobody who it is, unless the subject is said.
    if kinds.is_empty() || (kinds == ["issuer"] && !section.is_written("subject")) {
        let fault = Fault::new(format!("`{}` wants one of `uri`, `dns`, `email` and `subject`", pattern.path));
        let help = fault.help("match = { uri = \"spiffe://cluster.local/{name}\" }");
        section.context.report.problem(pattern.place, help);
        return None;
    }
    let mut names = BTreeSet::new();
    let mut matches = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let found = pattern.parse(kind, |text| {
            let own = captures(text)?;
            match own.intersection(&names).next() {
                Some(name) => Err(Fault::new(format!("`{{{name}}}` is captured by another pattern already"))),
                None => Ok(own),
            }
        });
        names.extend(found.unwrap_or_default());
        let text = pattern.text(kind)?.to_owned();
        matches.push(match kind {
            "uri" => MtlsMatch::Uri(text),
            "dns" => MtlsMatch::Dns(text),
            "email" => MtlsMatch::Email(text),
            "issuer" => MtlsMatch::Issuer(text),
            _ => MtlsMatch::Subject(text),
        });
    }
    let template = |text: &str| match captures(text)?.difference(&names).next() {
        Some(name) => Err(Fault::new(format!("the pattern captures no `{{{name}}}`"))),
        None => Ok(text.to_owned()),
    };
    let subject = section.parse("subject", template);
    let tenant = section.parse("tenant", template);
    let groups = section.parse_list("groups", template);
    let roles = section.parse_list("roles", |role| section.context.refer("roles", role));
    Some(MtlsRule {
        matches,
        subject: subject.unwrap_or_default(),
        tenant: tenant.unwrap_or_default(),
        groups,
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
