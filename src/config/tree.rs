//! A TOML document as a tree in which every key and value knows its place.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Fault, Report};
use super::source::Place;
use crate::model::Secret;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
    /// The environment variable that it was taken from.
    pub(super) variable: Option<String>,
    /// Whether it has been checked already, for what `[defaults]` gives to several routes.
    pub(super) checked: bool,
}

impl Node {
    /// A value that was written at a place.
    pub(super) const fn new(value: Value, place: Place) -> Self {
        Self { value, place, variable: None, checked: false }
    }

    /// The table that it is.
    pub(super) const fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// What stands somewhere.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    /// A floating-point number or a date: nothing of ours is one.
    Other(&'static str),
    List(Vec<Node>),
    Table(Table),
    /// Read from the environment or a file.
    Secret(Secret<Vec<u8>>),
    /// Something that a problem has been reported of.
    Broken,
}

impl Value {
    /// What kind of thing it is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::Other(kind) => kind,
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Secret(_) => "a secret",
            Self::Broken => "broken",
        }
    }
}

/// Values by key.
pub(super) type Table = BTreeMap<String, Entry>;

/// A key's place, and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Place,
    pub(super) node: Node,
}

/// Reads a document; what is no TOML is reported.
pub(super) fn read(text: &str, source: usize, report: &Report) -> Table {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let place = Place::new(source, span.start, span.end);
        if may_show_secret(text, span.start) {
            report.mask(place);
        }
        report.unreadable(place, Fault::new(format!("not TOML: {}", error.message())));
    }
    table(root.get_ref(), source)
}

fn table(table: &DeTable<'_>, source: usize) -> Table {
    let entry = |(key, value): (&Spanned<_>, &Spanned<_>)| {
        let key_place = Place::new(source, key.span().start, key.span().end);
        (AsRef::<str>::as_ref(key.get_ref()).to_owned(), Entry { key: key_place, node: node(value, source) })
    };
    table.iter().map(|(key, value)| entry((key, value))).collect()
}

fn node(value: &Spanned<DeValue<'_>>, source: usize) -> Node {
    let place = Place::new(source, value.span().start, value.span().end);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("an integer that is too large"), Value::Integer),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Float(_) => Value::Other("a floating-point number"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(list) => Value::List(list.iter().map(|entry| node(entry, source)).collect()),
        DeValue::Table(entries) => Value::Table(table(entries, source)),
    };
    Node::new(value, place)
}

/// Whether the line of a syntax error may hold a secret: it cannot be taken apart, so only its look counts.
fn may_show_secret(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |found| found + 1);
    let odd = |text: &str, quotes: &str| text.matches(quotes).count() % 2 == 1;
    let in_long_string = |quotes: &str| odd(before, quotes) || odd(before.get(..start).unwrap_or_default(), quotes);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    // A private key that was pasted without quotes is an error a line.
    let pasted = text.contains("-----BEGIN");
    pasted || in_long_string("\"\"\"") || in_long_string("'''") || names_secret(line) || line.contains('@')
}

/// Words that a secret's key has.
pub(super) fn names_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["pass", "pwd", "secret", "token", "credential", "private", "apikey", "pc_", "-----begin"]
        .iter()
        .any(|word| key.contains(word))
}

/// Whether a text holds a secret whatever its key says: a URL with a password, a private key, an API key of ours.
pub(super) fn holds_secret(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let has_password = authority.and_then(|a| a.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'));
    // A password with an unescaped `/` ends the authority early; hide those too.
    let odd = text.split_once("://").is_some_and(|(_, rest)| rest.contains('@') && rest.contains(':'));
    has_password || odd || text.contains("-----BEGIN") || text.starts_with("pc_")
}

/// Masks every value that is, or by its key may be, a secret that was written in the open.
pub(super) fn mask_secrets(table: &Table, report: &Report) {
    for (key, entry) in table {
        mask(&entry.node, names_secret(key), report);
    }
}

fn mask(node: &Node, named: bool, report: &Report) {
    match &node.value {
        Value::Text(text) if named || holds_secret(text) => report.mask(node.place),
        Value::Integer(_) | Value::Other(_) if named => report.mask(node.place),
        Value::List(list) => list.iter().for_each(|entry| mask(entry, named, report)),
        // `{ env = … }` and `{ file = … }` name where the secret is; a `default` beside them would be one.
        Value::Table(table) => {
            for (key, entry) in table {
                let reference = key == "env" || key == "file";
                mask(&entry.node, names_secret(key) || (named && !reference), report);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::source::Sources;

    #[test]
    fn keys_and_values_know_their_places() {
        let text = "[a.b]\nc = [1,\n  'x']\n[[d]]\ne.f = true\n";
        let mut sources = Sources::default();
        let id = sources.add_file("a.toml", text.to_owned(), Path::new(""));
        let root = read(text, id, &Report::default());
        let at = |place| {
            let p = sources.position(place);
            (p.line, p.column)
        };
        let b = &root["a"].node.table().expect("a table")["b"];
        assert_eq!(at(b.key), (1, 4));
        let c = &b.node.table().expect("a table")["c"];
        assert_eq!((at(c.key), at(c.node.place)), ((2, 1), (2, 5)));
        let Value::List(list) = &c.node.value else { panic!("a list") };
        assert_eq!(at(list[1].place), (3, 3));
        let Value::List(d) = &root["d"].node.value else { panic!("a list") };
        assert_eq!(at(d[0].place).0, 4);
    }

    #[test]
    fn what_is_no_toml_is_reported_with_its_place_and_without_secrets() {
        for (text, line, shown) in [
            ("a = 1\nb = \n", 2, true),
            ("a = 1\npassword = hunter2\n", 2, false),
            ("a = 1\nb = \"redis://u:hunter2@h\\q\"\n", 2, false),
            ("key = '''\n-----BEGIN\nhunter2'\\\n''' x", 4, false),
            ("key = \"\"\"\nhunter2 \\q\n\"\"\"", 2, false),
            ("key = -----BEGIN PRIVATE KEY-----\nhunter2=\n", 1, false),
            ("secret = 'hunter2'\nsecret = 'hunter2'", 2, false),
        ] {
            let mut sources = Sources::default();
            let id = sources.add_file("a.toml", text.to_owned(), Path::new(""));
            let report = Report::default();
            read(text, id, &report);
            let problems = report.problems(&sources);
            let first = &problems.problems[0];
            assert_eq!(first.line, line, "{text}: {problems}");
            assert_eq!(first.rendered.contains(" | "), shown, "{text}: {problems}");
            assert!(!problems.to_string().contains("hunter2"), "{problems}");
        }
    }
}
