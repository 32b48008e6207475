//! TOML → resolved [`Settings`]. Never imports runtime code; validation has no side effects but reading files.
//!
//! A text becomes a tree that knows the place of every key and value ([`tree`]); includes are merged into it
//! ([`gather`]), `--set` changes it ([`overrides`]), and checking it against the table of [`keys`] resolves the
//! environment and secrets and fills in defaults ([`check`]). Then each [`section`] reads its part ([`reader`]) into
//! settings. Problems are collected all along ([`report`]), so that they are told all at once.

mod check;
mod effective;
mod gather;
mod glob;
mod keys;
mod overrides;
mod reader;
mod report;
mod schema;
mod secret;
mod section;
mod source;
mod suggest;
mod summary;
mod template;
mod tree;
mod units;

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::model::settings::Settings;
use check::Checker;
use gather::Gathered;
use reader::Context;
use report::{Fault, Report};
use source::{Place, Sources};
use tree::{Node, Table};

pub use summary::summary;
pub use template::template;

/// A configuration that has been read and found good.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub settings: Settings,
    /// What is allowed but looks like a mistake.
    pub warnings: Problems,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    /// Files that settings name; what serves reads them later, or writes them.
    pub named: Vec<PathBuf>,
    /// Directories in which a file could appear that would be included.
    pub directories: Vec<PathBuf>,
    /// The effective configuration, one value a line (`route.app.accept = ["jwt:main"]  # portcullis.toml:12` or
    /// `# default`), secrets masked.
    pub effective: Vec<EffectiveValue>,
}

/// One value that is in force.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct EffectiveValue {
    /// `listener.public.bind`
    pub path: String,
    /// As TOML would have it; `"[secret]"` for secrets.
    pub value: serde_json::Value,
    /// `FILE:LINE`, `--set`, or `default`.
    pub source: String,
}

/// All that is wrong with a configuration.
#[derive(Debug)]
pub struct Problems {
    /// In order of file and line.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Problem {
    /// Where: the file, or `--set`.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// What.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The source line with a caret under the value, ready to print.
    #[serde(skip)]
    pub rendered: String,
}

/// Reads a configuration, its includes, the environment and the files it names for secrets.
///
/// `overrides` are `PATH=VALUE` texts from `--set`; VALUE is TOML, or a bare string.
pub fn load(path: &Path, overrides: &[String]) -> Result<Loaded, Problems> {
    let base = path.parent().unwrap_or(Path::new(""));
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => assemble(Input { text, name: &name, base, file: Some(path), overrides, environment: &environment }),
        Err(problem) => {
            let (report, mut sources) = (Report::default(), Sources::default());
            let id = sources.add_file(&name, String::new(), base);
            report.problem(Place::new(id, 0, 0), Fault::new(format!("cannot read `{name}`: {problem}")));
            Err(report.problems(&sources))
        }
    }
}

/// The same from text, for the demo and tests; `name` stands for the file, and paths are relative to `base`.
pub fn parse(text: &str, name: &str, base: &Path, overrides: &[String]) -> Result<Loaded, Problems> {
    assemble(Input { text: text.to_owned(), name, base, file: None, overrides, environment: &environment })
}

/// The JSON Schema of the file.
pub fn schema() -> serde_json::Value {
    schema::root()
}

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

struct Input<'a> {
    text: String,
    name: &'a str,
    base: &'a Path,
    file: Option<&'a Path>,
    overrides: &'a [String],
    environment: &'a dyn Fn(&str) -> Option<OsString>,
}

fn assemble(input: Input<'_>) -> Result<Loaded, Problems> {
    let report = Report::default();
    let mut gathered = Gathered {
        report: &report,
        environment: input.environment,
        sources: Sources::default(),
        files: input.file.map(Path::to_owned).into_iter().collect(),
        directories: Vec::new(),
    };
    let mut raw = gathered.text(input.text, input.name, input.base);
    for text in input.overrides {
        overrides::apply(text, &mut raw, &mut gathered.sources, &report);
    }
    let Gathered { sources, files, directories, .. } = gathered;
    // What could not be read is missing, and what is missed for that reason is not worth telling.
    if report.is_incomplete() {
        return Err(report.problems(&sources));
    }
    let checker = Checker { report: &report, sources: &sources, environment: input.environment, files: files.into() };
    let root = checked(raw, &checker);
    let context = Context { report: &report, sources: &sources, root: &root, named: RefCell::default() };
    let settings = settings(&context);
    if let Some(settings) = &settings
        && !report.has_problems()
    {
        section::redirects::check(settings, &context);
        section::warnings::check(settings, &context);
    }
    let warnings = report.warnings(&sources);
    match settings {
        Some(settings) if !report.has_problems() => Ok(Loaded {
            settings,
            warnings,
            files: checker.files.into_inner(),
            named: context.named.into_inner(),
            directories,
            effective: effective::list(&root, &sources),
        }),
        _ => {
            if !report.has_problems() {
                report.problem(Place::new(0, 0, 0), Fault::new("this configuration cannot be used"));
            }
            Err(report.problems(&sources))
        }
    }
}

/// Checks the tree, with `[defaults]` first, since every route takes from it.
fn checked(mut raw: Table, checker: &Checker<'_>) -> Table {
    let shape = keys::ROOT.iter().find(|key| key.name == "defaults").map(|key| &key.shape);
    if let (Some(shape), Some(defaults)) = (shape, raw.get_mut("defaults")) {
        let node = checker.value(defaults.node.clone(), shape, "defaults");
        defaults.node = Node { checked: true, ..node };
    }
    section::route::apply_defaults(&mut raw);
    let mut root = checker.root(raw, keys::ROOT);
    section::preset::apply(&mut root);
    section::session::apply_layout(&mut root);
    root
}

/// Reads every section, also after one that has problems.
fn settings(context: &Context<'_>) -> Option<Settings> {
    use section as s;
    let start = Place::new(0, 0, 0);
    if context.names("listener").is_empty() {
        let fault = Fault::new("no listener: nobody could connect").help("listener.main.bind = \"127.0.0.1:8080\"");
        context.report.problem(start, fault);
    }
    if context.names("route").is_empty() {
        let help = "[route.app] with `match`, `accept` and `upstream`";
        context.report.problem(start, Fault::new("no route: nothing would be served").help(help));
    }
    s::accept::check_defaults(context);
    let (server, listeners, health) = (s::server::read(context), s::listener::read(context), s::health::read(context));
    let (admin, log, store) = (s::admin::read(context), s::log::read(context), s::store::read(context));
    let (max_staleness, session) = (s::revocation::read(context), s::session::read(context));
    let (issuers, api_key, mtls) = (s::issuer::read(context), s::api_key::read(context), s::mtls::read(context));
    let (opaque, basic) = (s::opaque::read(context), s::basic::read(context));
    let spiffe = s::spiffe::read(context);
    let (assertion, limits, roles) = (s::assertion::read(context), s::limit::read(context), s::roles::read(context));
    let dpop = s::dpop::read(context, store.as_ref());
    let upstreams = s::upstream::read(context);
    let (maintenance, pages) = (s::maintenance::read(context), s::pages::read(context));
    let routes = s::route::read(context, &roles);
    s::binds::check(&listeners, health.as_ref(), admin.as_ref(), context);
    Some(Settings {
        server: server?,
        listeners,
        health,
        admin: admin?,
        log: log?,
        store: store?,
        max_staleness: max_staleness?,
        session: session?,
        issuers,
        dpop: dpop?,
        opaque,
        basic,
        api_key: api_key?,
        mtls,
        spiffe,
        maintenance,
        pages,
        assertion: assertion?,
        limits,
        roles,
        upstreams,
        routes,
    })
}

#[cfg(test)]
mod tests;
