//! Reads a file and what it includes into one tree, in which no key is set twice.

use std::collections::btree_map;
use std::path::{Path, PathBuf};

use super::check::Checker;
use super::keys::TEXTS;
use super::report::Fault;
use super::source::{Place, Sources};
use super::tree::{self, Node, Table, Value};
use super::{glob, report::Report};

/// Includes within includes go this deep.
const MAX_DEPTH: usize = 8;

/// What has been read so far.
pub(super) struct Gathered<'a> {
    pub(super) report: &'a Report,
    pub(super) environment: &'a dyn Fn(&str) -> Option<std::ffi::OsString>,
    pub(super) sources: Sources,
    pub(super) files: Vec<PathBuf>,
    /// In which a file could appear that would be included.
    pub(super) directories: Vec<PathBuf>,
}

impl Gathered<'_> {
    /// Reads a text and its includes.
    pub(super) fn text(&mut self, text: String, name: &str, base: &Path) -> Table {
        self.read(text, name, base, 0)
    }

    fn read(&mut self, text: String, name: &str, base: &Path, depth: usize) -> Table {
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let id = self.sources.add_file(name, text.to_owned(), base);
        let mut table = tree::read(text, id, self.report);
        tree::mask_secrets(&table, self.report);
        let Some(include) = table.remove("include") else { return table };
        if depth == MAX_DEPTH {
            self.report.problem(include.key, Fault::new(format!("includes go deeper than {MAX_DEPTH} files")));
            return table;
        }
        for pattern in self.patterns(include.node) {
            let Value::Text(text) = &pattern.value else { continue };
            if glob::is_pattern(text) {
                self.directories.extend(base.join(text).parent().map(Path::to_owned));
            }
            for path in self.matching(text, base, pattern.place) {
                let included = self.include(&path, pattern.place, depth + 1);
                merge(&mut table, included, "", self.report);
            }
        }
        table
    }

    fn patterns(&self, include: Node) -> Vec<Node> {
        let checker = Checker {
            report: self.report,
            sources: &self.sources,
            environment: self.environment,
            files: std::cell::RefCell::default(),
        };
        match checker.value(include, &TEXTS, "include").value {
            Value::List(patterns) => patterns,
            _ => Vec::new(),
        }
    }

    fn matching(&self, pattern: &str, base: &Path, place: Place) -> Vec<PathBuf> {
        if !glob::is_pattern(pattern) {
            return vec![base.join(pattern)];
        }
        match glob::expand(base, pattern) {
            Ok(found) => found,
            Err(problem) => {
                self.report.unreadable(place, Fault::new(format!("cannot look for `{pattern}`: {problem}")));
                Vec::new()
            }
        }
    }

    fn include(&mut self, path: &Path, place: Place, depth: usize) -> Table {
        let known = |known: &PathBuf| std::fs::canonicalize(known).ok() == std::fs::canonicalize(path).ok();
        if self.files.iter().any(known) && path.exists() {
            self.report.problem(place, Fault::new(format!("`{}` is included already", path.display())));
            return Table::new();
        }
        self.files.push(path.to_owned());
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let base = path.parent().unwrap_or(Path::new("")).to_owned();
                self.read(text, &path.display().to_string(), &base, depth)
            }
            Err(problem) => {
                self.report.unreadable(place, Fault::new(format!("cannot read `{}`: {problem}", path.display())));
                Table::new()
            }
        }
    }
}

/// Adds what `from` has to `into`; a key that both set is a problem that names both places.
fn merge(into: &mut Table, from: Table, path: &str, report: &Report) {
    for (name, entry) in from {
        let path = super::check::join(path, &name);
        match into.entry(name) {
            btree_map::Entry::Vacant(place) => {
                place.insert(entry);
            }
            btree_map::Entry::Occupied(mut known) => {
                let known = known.get_mut();
                match (&mut known.node.value, entry.node.value) {
                    (Value::Table(into), Value::Table(from)) => merge(into, from, &path, report),
                    _ => {
                        let fault = Fault::new(format!("`{path}` is set twice"));
                        let fault = fault.and(known.key, "set here first").help("keep one of them");
                        report.problem(entry.key, fault);
                    }
                }
            }
        }
    }
}
