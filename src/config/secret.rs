//! Secrets come from the environment or a file, and are never written in the open.

use std::io::Read;
use std::path::Path;

use super::check::Checker;
use super::report::Fault;
use super::tree::{Entry, Node, Value};
use crate::model::Secret;

const HELP: &str = "{ env = \"NAME\" } or { file = \"PATH\" }";

/// No secret is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads `{ env = … }` or `{ file = … }`.
pub(super) fn resolve(checker: &Checker<'_>, node: Node, path: &str) -> Node {
    let place = node.place;
    let Value::Table(mut table) = node.value else {
        checker.report.mask(place);
        let fault = Fault::new(format!("`{path}` is a secret and must not be written here"));
        return checker.broken(place, fault.help(HELP));
    };
    let (env, file) = (table.remove("env"), table.remove("file"));
    if let Some(rest) = table.into_values().next() {
        checker.report.mask(rest.node.place);
        let fault = Fault::new(format!("`{path}` is a secret: it comes from one variable or file, without a default"));
        return checker.broken(rest.key, fault.help(HELP));
    }
    let found = match (env, file) {
        (Some(Entry { node, .. }), None) => from_environment(checker, node),
        (None, Some(Entry { node, .. })) => from_file(checker, node),
        _ => {
            let fault = Fault::new(format!("`{path}` is a secret: it comes from one variable or one file"));
            return checker.broken(place, fault.help(HELP));
        }
    };
    match found {
        Some(secret) if secret.expose().is_empty() => checker.broken(place, Fault::new(format!("`{path}` is empty"))),
        Some(secret) => Node::new(Value::Secret(secret), place),
        None => Node::new(Value::Broken, place),
    }
}

fn from_environment(checker: &Checker<'_>, name: Node) -> Option<Secret<Vec<u8>>> {
    let Value::Text(variable) = &name.value else {
        checker.broken(name.place, Fault::new("`env` wants the name of a variable").help(HELP));
        return None;
    };
    let Some(text) = checker.read_variable(variable, name.place)? else {
        checker.broken(name.place, Fault::new(format!("the environment variable `{variable}` is not set")));
        return None;
    };
    Some(Secret::new(text.into_bytes()))
}

fn from_file(checker: &Checker<'_>, name: Node) -> Option<Secret<Vec<u8>>> {
    let Value::Text(file) = &name.value else {
        checker.broken(name.place, Fault::new("`file` wants a path").help(HELP));
        return None;
    };
    let path = checker.sources.base(name.place).join(file);
    checker.files.borrow_mut().push(path.clone());
    match read(&path) {
        Ok(bytes) => Some(Secret::new(bytes)),
        Err(problem) => {
            checker.broken(name.place, Fault::new(format!("cannot read `{}`: {problem}", path.display())));
            None
        }
    }
}

/// The file's bytes without the newline that editors put at the end.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    Ok(bytes)
}
