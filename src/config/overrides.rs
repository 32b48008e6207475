//! `--set PATH=VALUE`

use toml::de::{DeTable, DeValue};

use super::report::{Fault, Report};
use super::source::{Place, Sources};
use super::tree::{self, Entry, Node, Table, Value};

const HELP: &str = "--set listener.main.bind=127.0.0.1:8080";

/// Sets one value, whatever was there.
pub(super) fn apply(text: &str, into: &mut Table, sources: &mut Sources, report: &Report) {
    let id = sources.add_override(text);
    let whole = Place::new(id, 0, text.len());
    let wrong = |message: &str| {
        // What cannot be taken apart may hold a secret anywhere.
        report.mask(whole);
        report.problem(whole, Fault::new(message).help(HELP));
    };
    let Some((keys, equals)) = path(text) else { return wrong("`--set` wants PATH=VALUE") };
    if keys.first().is_some_and(|key| key == "include") {
        return wrong("`include` cannot be set");
    }
    let mut parsed = match toml(text) {
        true => tree::read(text, id, report),
        false => bare(text, &keys, equals, id),
    };
    tree::mask_secrets(&parsed, report);
    let Some((last, parents)) = keys.split_last() else { return };
    let (mut from, mut target) = (&mut parsed, into);
    for key in parents {
        let Some(Entry { key: place, node }) = from.get_mut(key) else { return };
        let (place, node_place) = (*place, node.place);
        let entry = target
            .entry(key.clone())
            .or_insert_with(|| Entry { key: place, node: Node::new(Value::Table(Table::new()), node_place) });
        let (Value::Table(inner), Value::Table(next)) = (&mut node.value, &mut entry.node.value) else {
            return wrong(&format!("`{key}` is not a table, so nothing in it can be set"));
        };
        (from, target) = (inner, next);
    }
    if let Some(entry) = from.remove(last) {
        target.insert(last.clone(), entry);
    }
}

fn toml(text: &str) -> bool {
    !text.contains('\n') && DeTable::parse(text).is_ok()
}

/// The keys of PATH, and where `=` is.
fn path(text: &str) -> Option<(Vec<String>, usize)> {
    text.match_indices('=').find_map(|(equals, _)| {
        let path = text.get(..equals)?;
        let document = format!("{path}=0");
        let table = if path.contains('\n') { None } else { DeTable::parse(&document).ok() }?;
        let mut keys = Vec::new();
        let mut table = table.get_ref();
        loop {
            let (key, value) = table.iter().next()?;
            keys.push(AsRef::<str>::as_ref(key.get_ref()).to_owned());
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => return Some((keys, equals)),
            }
        }
    })
}

/// A tree with the text after `=` as a string.
fn bare(text: &str, keys: &[String], equals: usize, id: usize) -> Table {
    let value = text.get(equals + 1..).unwrap_or_default();
    let mut node = Node::new(Value::Text(value.trim().to_owned()), Place::new(id, equals + 1, text.len()));
    let mut table = Table::new();
    for key in keys.iter().rev() {
        table = Table::from([(key.clone(), Entry { key: Place::new(id, 0, equals), node })]);
        node = Node::new(Value::Table(table.clone()), Place::new(id, 0, equals));
    }
    table
}
