//! Checks a tree against the table of keys, resolves `{ env = … }` and secrets, and fills in defaults, so that what
//! reads the tree afterwards finds every value in its form or [`Value::Broken`], of which a problem is known.

use std::ffi::OsString;
use std::path::PathBuf;

use super::keys::{Given, Key, Presence, Shape};
use super::report::{Fault, Report};
use super::source::{Place, Sources};
use super::tree::{Entry, Node, Table, Value};
use super::{secret, suggest, units};

/// What checking needs to know of the world.
pub(super) struct Checker<'a> {
    pub(super) report: &'a Report,
    pub(super) sources: &'a Sources,
    pub(super) environment: &'a dyn Fn(&str) -> Option<OsString>,
    /// Files that secrets were read from.
    pub(super) files: std::cell::RefCell<Vec<PathBuf>>,
}

/// Where in the configuration one is, for messages: `listener.public`.
#[derive(Clone, Copy)]
struct At<'a> {
    path: &'a str,
    /// What to point at when something is missing.
    place: Place,
    /// Whether absent keys are filled in.
    partial: bool,
}

impl Checker<'_> {
    /// Checks the whole file.
    pub(super) fn root(&self, table: Table, keys: &'static [Key]) -> Table {
        self.table(table, keys, At { path: "", place: Place::DEFAULT, partial: false })
    }

    /// Checks one value on its own.
    pub(super) fn value(&self, node: Node, shape: &'static Shape, path: &str) -> Node {
        let place = node.place;
        self.node(node, shape, At { path, place, partial: false })
    }

    fn table(&self, mut table: Table, keys: &'static [Key], at: At<'_>) -> Table {
        let mut checked = Table::new();
        for key in keys {
            let path = join(at.path, key.name);
            if let Some(Entry { key: place, node }) = table.remove(key.name) {
                let node = self.node(node, &key.shape, At { path: &path, place, partial: false });
                checked.insert(key.name.to_owned(), Entry { key: place, node });
            } else if !at.partial {
                self.absent(key, &path, at, &mut checked);
            }
        }
        let has_secrets = keys.iter().any(|key| matches!(key.shape, Shape::Secret | Shape::List(Shape::Secret)));
        for (name, entry) in table {
            if has_secrets {
                // A slip of the pen in a secret's key must not show the secret.
                self.report.mask(entry.node.place);
            }
            let known = keys.iter().filter(|key| key.is_available()).map(|key| key.name);
            let place = if at.path.is_empty() { "a configuration".to_owned() } else { format!("`{}`", at.path) };
            let fault = Fault::new(format!("{place} has no key `{name}`")).help(suggest::hint(&name, known));
            self.report.problem(entry.key, fault);
        }
        checked
    }

    fn absent(&self, key: &'static Key, path: &str, at: At<'_>, checked: &mut Table) {
        let value = match &key.presence {
            Presence::Optional => return,
            Presence::Required => {
                let fault = Fault::new(format!("`{}` lacks `{}`", at.path, key.name));
                self.report.problem(at.place, fault.help(format!("`{}`: {}", key.name, key.doc)));
                Value::Broken
            }
            Presence::Default(given) => match (given, &key.shape) {
                (Given::Text(text), _) => Value::Text((*text).to_owned()),
                (Given::Integer(number), _) => Value::Integer(*number),
                (Given::Boolean(truth), _) => Value::Boolean(*truth),
                (Given::Texts(texts), _) => {
                    let text = |text: &&str| Node::new(Value::Text((*text).to_owned()), Place::DEFAULT);
                    Value::List(texts.iter().map(text).collect())
                }
                (Given::Table, Shape::Table(keys)) => {
                    Value::Table(self.table(Table::new(), keys, At { path, place: at.place, partial: false }))
                }
                (Given::Table, _) => Value::Table(Table::new()),
            },
        };
        let node = Node::new(value, Place::DEFAULT);
        checked.insert(key.name.to_owned(), Entry { key: Place::DEFAULT, node });
    }

    fn node(&self, node: Node, shape: &'static Shape, at: At<'_>) -> Node {
        if node.checked {
            return node;
        }
        let place = node.place;
        let node = match shape {
            Shape::Later => {
                return self.broken(at.place, Fault::new(format!("`{}` is not available in this version", at.path)));
            }
            Shape::Secret => return secret::resolve(self, node, at.path),
            // One that stands bare is looked at as a secret before anything else is made of it.
            Shape::List(Shape::Secret) if !matches!(node.value, Value::List(_)) => {
                let secret = Node { checked: true, ..secret::resolve(self, node, at.path) };
                Node::new(Value::List(vec![secret]), place)
            }
            Shape::Table(_) | Shape::Map(_) | Shape::ByHost(_) | Shape::Partial { .. } => node,
            _ => match self.variable(node) {
                Some(node) => node,
                None => return Node::new(Value::Broken, place),
            },
        };
        match (shape, node) {
            (_, node @ Node { value: Value::Broken, .. }) => node,
            (Shape::Either(shapes), node) => match shapes.iter().find(|shape| may_be(shape, &node)) {
                Some(shape) => self.node(node, shape, at),
                None => self.wrong_kind(&node, shape),
            },
            (Shape::List(inner), Node { value: Value::List(list), variable, .. }) => {
                let list = list.into_iter().enumerate().map(|(index, entry)| {
                    let (path, place) = (format!("{}[{index}]", at.path), entry.place);
                    self.node(entry, inner, At { path: &path, place, partial: false })
                });
                Node { variable, ..Node::new(Value::List(list.collect()), place) }
            }
            (Shape::List(inner), bare) if fits(inner, &bare.value) => {
                let path = format!("{}[0]", at.path);
                let entry = self.node(bare, inner, At { path: &path, place, partial: false });
                Node::new(Value::List(vec![entry]), place)
            }
            (Shape::Table(keys), Node { value: Value::Table(table), .. }) => {
                Node::new(Value::Table(self.table(table, keys, at)), place)
            }
            (Shape::Partial { of, without }, Node { value: Value::Table(mut table), .. }) => {
                if let Some(entry) = table.remove(*without) {
                    let fault = Fault::new(format!("`{}` cannot have a default", join(at.path, without)));
                    self.report.problem(entry.key, fault.help("every route says what it matches"));
                }
                Node::new(Value::Table(self.table(table, of, At { partial: true, ..at })), place)
            }
            (Shape::Map(inner) | Shape::ByHost(inner), Node { value: Value::Table(table), .. }) => {
                let named = table.into_iter().map(|(name, Entry { key, node })| {
                    // Whoever reads names of hosts says what is none.
                    if !matches!(shape, Shape::ByHost(_)) {
                        self.name(&name, key);
                    }
                    let path = join(at.path, &name);
                    let node = self.node(node, inner, At { path: &path, place: key, partial: false });
                    (name, Entry { key, node })
                });
                Node::new(Value::Table(named.collect()), place)
            }
            (shape, node) => self.scalar(node, shape),
        }
    }

    fn scalar(&self, mut node: Node, shape: &'static Shape) -> Node {
        if let (Some(variable), Value::Text(text)) = (&node.variable, &node.value) {
            let read = match shape {
                Shape::Integer { .. } => text.parse().ok().map(Value::Integer),
                Shape::Boolean => text.parse().ok().map(Value::Boolean),
                _ => Some(Value::Text(text.clone())),
            };
            let Some(read) = read else {
                let fault = Fault::new(format!("`{variable}` from the environment is not {}", expected(shape)));
                return self.broken(node.place, fault);
            };
            node.value = read;
        }
        let fault = match (shape, &node.value) {
            (Shape::Boolean, Value::Boolean(_)) => return node,
            (Shape::Integer { min, max }, Value::Integer(number)) if (min..=max).contains(&number) => return node,
            (Shape::Integer { min, max }, Value::Integer(number)) => {
                Fault::new(format!("`{number}` is out of range")).help(format!("a whole number from {min} to {max}"))
            }
            (Shape::Text | Shape::Path | Shape::Choice { .. }, Value::Text(text)) if text.trim().is_empty() => {
                Fault::new("must not be empty").help("leave the key out to say nothing")
            }
            (Shape::Text | Shape::Path, Value::Text(text)) if text.contains(char::is_control) => {
                Fault::new("contains a control character")
            }
            (Shape::Text | Shape::Path, Value::Text(_)) => return node,
            (Shape::Duration { zero }, Value::Text(text)) => match units::duration(text) {
                Ok(found) if *zero || !found.is_zero() => return node,
                Ok(_) => Fault::new("must not be zero").help(units::DURATION_HELP),
                Err(fault) => fault,
            },
            (Shape::Size, Value::Text(text)) => match units::size(text) {
                Ok(found) if found > 0 => return node,
                Ok(_) => Fault::new("must not be zero").help(units::SIZE_HELP),
                Err(fault) => fault,
            },
            (Shape::Choice { now, later }, Value::Text(text)) => {
                if now.contains(&text.as_str()) {
                    return node;
                }
                match later.iter().find(|later| later.word == text) {
                    Some(later) => Fault::new(format!("`{text}` is not available in this version")).help(later.help),
                    None => Fault::new(format!("`{text}` is not one of the choices"))
                        .help(suggest::hint(text, now.iter().copied())),
                }
            }
            _ => return self.wrong_kind(&node, shape),
        };
        self.broken(node.place, fault)
    }

    /// The value of `{ env = "NAME", default = … }`; anything else as it is; `None` where a problem was reported.
    fn variable(&self, node: Node) -> Option<Node> {
        let reference = |table: &Table| table.contains_key("env") && table.keys().all(|k| k == "env" || k == "default");
        if !node.table().is_some_and(reference) {
            return Some(node);
        }
        let Value::Table(mut table) = node.value else { return Some(node) };
        let name = table.remove("env")?.node;
        let Value::Text(variable) = name.value else {
            self.report
                .problem(name.place, Fault::new("`env` wants the name of a variable").help("{ env = \"NAME\" }"));
            return None;
        };
        match (self.read_variable(&variable, name.place)?, table.remove("default")) {
            (Some(text), _) => Some(Node { variable: Some(variable), ..Node::new(Value::Text(text), node.place) }),
            (None, Some(default)) => Some(default.node),
            (None, None) => {
                let fault = Fault::new(format!("the environment variable `{variable}` is not set"));
                let help = format!("set it, or say what holds without it: {{ env = \"{variable}\", default = … }}");
                self.report.problem(node.place, fault.help(help));
                None
            }
        }
    }

    /// An environment variable; `None` where it is no text, which is reported.
    pub(super) fn read_variable(&self, name: &str, place: Place) -> Option<Option<String>> {
        let fits = !name.is_empty() && !name.contains(['=', '\0']);
        match fits.then(|| (self.environment)(name)).flatten().map(OsString::into_string).transpose() {
            Ok(found) => Some(found),
            Err(_) => {
                self.report.problem(place, Fault::new(format!("the environment variable `{name}` is not valid UTF-8")));
                None
            }
        }
    }

    fn name(&self, name: &str, place: Place) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let fault = Fault::new(format!("`{}` is no name", name.escape_debug()));
            self.report.problem(place, fault.help("up to 64 letters, digits, `-`, `_` and `.`"));
        }
    }

    fn wrong_kind(&self, node: &Node, shape: &Shape) -> Node {
        let fault = Fault::new(format!("expected {}, found {}", expected(shape), node.value.kind()));
        let fault = match (shape, &node.value) {
            (Shape::Duration { .. }, Value::Integer(_)) => fault.help(units::DURATION_HELP),
            (Shape::Size, Value::Integer(_)) => fault.help(units::SIZE_HELP),
            (Shape::Text | Shape::Path, Value::Integer(_) | Value::Boolean(_)) => fault.help("put it in quotes"),
            _ => fault,
        };
        self.broken(node.place, fault)
    }

    /// Reports, and stands for what was reported.
    pub(super) fn broken(&self, place: Place, fault: Fault) -> Node {
        self.report.problem(place, fault);
        Node::new(Value::Broken, place)
    }
}

/// `a.b`
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Whether a node is of the kind that a shape wants, as far as text from the environment is of a kind.
fn may_be(shape: &Shape, node: &Node) -> bool {
    match (&node.variable, &node.value, shape) {
        (Some(_), Value::Text(text), Shape::Integer { .. }) => text.parse::<i64>().is_ok(),
        (Some(_), Value::Text(text), Shape::Boolean) => text.parse::<bool>().is_ok(),
        (_, value, shape) => fits(shape, value),
    }
}

/// Whether a value is of the kind that a shape wants.
fn fits(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Either(shapes), value) => shapes.iter().any(|shape| fits(shape, value)),
        (Shape::List(_), Value::List(_)) | (_, Value::Broken) => true,
        (Shape::List(inner), value) => fits(inner, value),
        (Shape::Boolean, Value::Boolean(_)) | (Shape::Integer { .. }, Value::Integer(_)) => true,
        (
            Shape::Table(_) | Shape::Map(_) | Shape::ByHost(_) | Shape::Partial { .. } | Shape::Secret,
            Value::Table(_),
        ) => true,
        (Shape::Text | Shape::Path | Shape::Choice { .. }, Value::Text(_)) => true,
        (Shape::Duration { .. } | Shape::Size, Value::Text(_)) => true,
        _ => false,
    }
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Integer { .. } => "a whole number".to_owned(),
        Shape::Text | Shape::Choice { .. } => "a string".to_owned(),
        Shape::Path => "a path".to_owned(),
        Shape::Duration { .. } => "a duration".to_owned(),
        Shape::Size => "a size".to_owned(),
        Shape::Secret => "a secret".to_owned(),
        Shape::List(inner) => format!("a list ({} each)", expected(inner)),
        Shape::Table(_) | Shape::Map(_) | Shape::ByHost(_) | Shape::Partial { .. } => "a table".to_owned(),
        Shape::Either(shapes) => shapes.iter().map(expected).collect::<Vec<_>>().join(" or "),
        Shape::Later => "nothing".to_owned(),
    }
}
