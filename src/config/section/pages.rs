//! `[pages]`

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::keys::Shape;
use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::model::settings::{PageFor, PagePiece, PageTemplate, PagesSettings};

pub(in crate::config) const SHAPE: Shape = Shape::Map(&Shape::Path);

/// Longest template, in bytes: it is written with every refusal.
const LONGEST: u64 = 64 * 1024;

/// Reads the templates.
pub(in crate::config) fn read(context: &Context<'_>) -> PagesSettings {
    let Some(section) = context.section("pages") else { return PagesSettings::default() };
    let mut templates = Vec::new();
    for (key, entry) in section.entries() {
        let Some(page_for) = page_for(key) else {
            let fault = Fault::new(format!("`{key}` is no status of a refusal"));
            context.report.problem(entry.key, fault.help("\"403\", \"4xx\", \"5xx\" or default"));
            continue;
        };
        let Some(path) = section.path(key) else { continue };
        match text(&path).and_then(|text| template(&text)) {
            Ok(template) => templates.push((page_for, template)),
            Err(fault) => section.problem(key, fault),
        }
    }
    templates.sort_by_key(|(page_for, _)| *page_for);
    PagesSettings(templates)
}

fn page_for(key: &str) -> Option<PageFor> {
    match key {
        "default" => Some(PageFor::Default),
        "4xx" => Some(PageFor::Class(4)),
        "5xx" => Some(PageFor::Class(5)),
        status => status.parse().ok().filter(|status| (400..600).contains(status)).map(PageFor::Status),
    }
}

fn text(path: &Path) -> Result<String, Fault> {
    let unreadable = |problem: std::io::Error| Fault::new(format!("cannot read `{}`: {problem}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        let fault = Fault::new(format!("`{}` is longer than 64 KiB", path.display()));
        return Err(fault.help("it is written with every refusal: leave pictures and fonts to another server"));
    }
    String::from_utf8(bytes).map_err(|_| Fault::new(format!("`{}` is not valid UTF-8", path.display())))
}

/// Takes a template apart. A name that is not known would be shown to everybody.
fn template(text: &str) -> Result<PageTemplate, Fault> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let known = after.split_once("}}").and_then(|(name, rest)| Some((piece(name.trim())?, rest)));
        let Some((piece, after)) = known else {
            let line = text.len().checked_sub(rest.len()).and_then(|read| text.get(..read + before.len()));
            let line = line.unwrap_or_default().lines().count().max(1);
            let fault = Fault::new(format!("line {line} of the page has `{{{{` without a name that is known"));
            return Err(fault.help("{{status}}, {{title}} and {{decision_id}}"));
        };
        if !before.is_empty() {
            pieces.push(PagePiece::Text(before.into()));
        }
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(PagePiece::Text(rest.into()));
    }
    Ok(PageTemplate(pieces))
}

fn piece(name: &str) -> Option<PagePiece> {
    match name {
        "status" => Some(PagePiece::Status),
        "title" => Some(PagePiece::Title),
        "decision_id" => Some(PagePiece::DecisionId),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_three_names() {
        let text = |text: &str| PagePiece::Text(text.into());
        let read = template("<b>{{status}}</b> {{ title }}{{decision_id}}\n").unwrap().0;
        let expected =
            [text("<b>"), PagePiece::Status, text("</b> "), PagePiece::Title, PagePiece::DecisionId, text("\n")];
        assert_eq!(read, expected);
        assert_eq!(template("").unwrap().0, []);
        assert_eq!(template("a } } {b}").unwrap().0, [text("a } } {b}")]);
        for bad in ["{{", "{{}}", "{{status", "{{host}}", "{{status}} {{ {{title}}", "{{{status}}}"] {
            assert!(template(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_are_for_refusals() {
        for (key, found) in [
            ("default", Some(PageFor::Default)),
            ("4xx", Some(PageFor::Class(4))),
            ("403", Some(PageFor::Status(403))),
            ("200", None),
            ("600", None),
            ("3xx", None),
            ("4XX", None),
            ("", None),
            ("-403", None),
        ] {
            assert_eq!(page_for(key), found, "{key}");
        }
    }
}
