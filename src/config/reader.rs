//! Typed access to a checked tree. What cannot be read has been reported, or is reported here with its place.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::check::join;
use super::report::{Fault, Report};
use super::source::{Place, Sources};
use super::tree::{Entry, Node, Table, Value};
use super::{suggest, units};
use crate::model::Secret;

/// What reading a section needs besides the section.
pub(super) struct Context<'a> {
    pub(super) report: &'a Report,
    pub(super) sources: &'a Sources,
    pub(super) root: &'a Table,
    /// Files that settings name.
    pub(super) named: RefCell<Vec<PathBuf>>,
}

impl<'a> Context<'a> {
    /// A top-level table.
    pub(super) fn section(&'a self, name: &str) -> Option<Section<'a>> {
        self.whole().table(name)
    }

    /// The top level.
    pub(super) fn whole(&'a self) -> Section<'a> {
        Section { context: self, table: self.root, path: String::new(), place: Place::DEFAULT }
    }

    /// The tables of a top-level map, by name.
    pub(super) fn named(&'a self, name: &str) -> Vec<(Arc<str>, Section<'a>)> {
        self.section(name).map(|map| map.tables()).unwrap_or_default()
    }

    /// The tables of a top-level list.
    pub(super) fn list(&'a self, name: &str) -> Vec<Section<'a>> {
        self.whole().table_list(name)
    }

    /// The names of a top-level map, also of entries that have problems.
    pub(super) fn names(&self, name: &str) -> BTreeSet<&'a str> {
        let map = self.root.get(name).and_then(|entry| entry.node.table());
        map.into_iter().flat_map(|map| map.keys().map(String::as_str)).collect()
    }

    /// Checks that `name` is one of a map's; `what` says of which (`limit`).
    pub(super) fn refer(&self, what: &str, name: &str) -> Result<Arc<str>, Fault> {
        let names = self.names(what);
        if names.contains(name) {
            return Ok(name.into());
        }
        Err(Fault::new(format!("there is no `{}`", join(what, name))).help(suggest::hint(name, names)))
    }
}

/// A table, and how it is called.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub(super) context: &'a Context<'a>,
    table: &'a Table,
    /// `listener.public`
    pub(super) path: String,
    /// Where its name stands, for problems of the whole.
    pub(super) place: Place,
}

impl<'a> Section<'a> {
    /// Reports a problem of the value of a key, or of the section where the key is absent.
    pub(super) fn problem(&self, key: &str, fault: Fault) {
        self.context.report.problem(self.place_of(key), fault);
    }

    /// Warns likewise.
    pub(super) fn warning(&self, key: &str, fault: Fault) {
        self.context.report.warning(self.place_of(key), fault);
    }

    /// Where the value of a key stands; the section itself where it was not written.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.node(key).map(|node| node.place).filter(|place| *place != Place::DEFAULT).unwrap_or(self.place)
    }

    /// Whether somebody wrote this key.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.node(key).is_some_and(|node| node.place != Place::DEFAULT)
    }

    /// Whether there is a value, be it a broken one.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.table.get(key).map(|entry| &entry.node)
    }

    /// The entries, for maps of values.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a> {
        self.table.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// Where the name of an entry stands.
    pub(super) fn key_place(&self, key: &str) -> Place {
        self.table.get(key).map_or(self.place, |entry| entry.key)
    }

    /// The written keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.table.iter().filter(|(_, entry)| entry.node.place != Place::DEFAULT).map(|(key, _)| key.as_str())
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        match &self.node(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn shared_text(&self, key: &str) -> Option<Arc<str>> {
        self.text(key).map(Into::into)
    }

    pub(super) fn boolean(&self, key: &str) -> bool {
        matches!(self.node(key).map(|node| &node.value), Some(Value::Boolean(true)))
    }

    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        match self.node(key)?.value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// A number that the table of keys keeps within bounds.
    pub(super) fn count(&self, key: &str) -> usize {
        self.integer(key).and_then(|number| usize::try_from(number).ok()).unwrap_or(1)
    }

    pub(super) fn duration(&self, key: &str) -> Duration {
        self.text(key).and_then(|text| units::duration(text).ok()).unwrap_or(Duration::from_secs(1))
    }

    pub(super) fn size(&self, key: &str) -> usize {
        self.text(key).and_then(|text| units::size(text).ok()).unwrap_or(1)
    }

    /// A path, relative to the file it stands in.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.node(key).and_then(|node| self.context.path(node))
    }

    pub(super) fn paths(&self, key: &str) -> Vec<PathBuf> {
        self.list(key).iter().filter_map(|node| self.context.path(node)).collect()
    }

    pub(super) fn secret(&self, key: &str) -> Option<&'a Secret<Vec<u8>>> {
        match &self.node(key)?.value {
            Value::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// A secret that must be text.
    pub(super) fn secret_text(&self, key: &str) -> Option<Secret<String>> {
        match String::from_utf8(self.secret(key)?.expose().clone()) {
            Ok(text) => Some(Secret::new(text)),
            Err(_) => {
                self.problem(key, Fault::new(format!("`{}` is not valid UTF-8", join(&self.path, key))));
                None
            }
        }
    }

    /// The secrets of a list.
    pub(super) fn secrets(&self, key: &str) -> Vec<Secret<Vec<u8>>> {
        let secrets = self.list(key).iter().filter_map(|node| match &node.value {
            Value::Secret(secret) => Some(secret.clone()),
            _ => None,
        });
        secrets.collect()
    }

    /// The entries of a list.
    pub(super) fn list(&self, key: &str) -> &'a [Node] {
        match self.node(key).map(|node| &node.value) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// The texts of a list, and where each stands.
    pub(super) fn texts(&self, key: &str) -> impl Iterator<Item = (&'a str, Place)> + use<'a> {
        self.list(key).iter().filter_map(|node| match &node.value {
            Value::Text(text) => Some((text.as_str(), node.place)),
            _ => None,
        })
    }

    pub(super) fn shared_texts(&self, key: &str) -> Vec<Arc<str>> {
        self.texts(key).map(|(text, _)| text.into()).collect()
    }

    /// A text in a form of its own; what does not fit is reported.
    pub(super) fn parse<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, Fault>) -> Option<T> {
        parse(self.text(key)?).map_err(|fault| self.problem(key, fault)).ok()
    }

    /// The same of each entry of a list.
    pub(super) fn parse_list<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Vec<T> {
        let report = self.context.report;
        self.texts(key)
            .filter_map(|(text, place)| parse(text).map_err(|fault| report.problem(place, fault)).ok())
            .collect()
    }

    /// Reports a list that is there but says nothing.
    pub(super) fn not_empty(&self, key: &str, help: &str) {
        if matches!(self.node(key), Some(Node { value: Value::List(list), .. }) if list.is_empty()) {
            self.problem(key, Fault::new("the list must not be empty").help(help));
        }
    }

    /// A table within.
    pub(super) fn table(&self, key: &str) -> Option<Section<'a>> {
        let entry = self.table.get(key)?;
        let place = if entry.key == Place::DEFAULT { self.place } else { entry.key };
        self.inner(&entry.node, join(&self.path, key), place)
    }

    /// The tables of a map.
    pub(super) fn tables(&self) -> Vec<(Arc<str>, Section<'a>)> {
        self.table.keys().filter_map(|name| Some((name.as_str().into(), self.table(name)?))).collect()
    }

    /// The tables of a list.
    pub(super) fn table_list(&self, key: &str) -> Vec<Section<'a>> {
        let path = join(&self.path, key);
        let list = self.list(key).iter().enumerate();
        list.filter_map(|(index, node)| self.inner(node, format!("{path}[{index}]"), node.place)).collect()
    }

    fn inner(&self, node: &'a Node, path: String, place: Place) -> Option<Section<'a>> {
        Some(Section { context: self.context, table: node.table()?, path, place })
    }
}

impl Context<'_> {
    fn path(&self, node: &Node) -> Option<PathBuf> {
        match &node.value {
            Value::Text(text) => {
                let path = self.sources.base(node.place).join(text);
                self.named.borrow_mut().push(path.clone());
                Some(path)
            }
            _ => None,
        }
    }
}
