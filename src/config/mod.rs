//! TOML → resolved [`Settings`]. Never imports runtime code; validation has no side effects but reading files.

use std::path::{Path, PathBuf};

use crate::model::settings::Settings;

/// A configuration that has been read and found good.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub settings: Settings,
    /// What is allowed but looks like a mistake; each a rendered message with its place.
    pub warnings: Vec<String>,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
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
    let _ = (path, overrides);
    todo!()
}

/// The same from text, for the demo and tests; `name` stands for the file, and paths are relative to `base`.
pub fn parse(text: &str, name: &str, base: &Path, overrides: &[String]) -> Result<Loaded, Problems> {
    let _ = (text, name, base, overrides);
    todo!()
}

/// The JSON Schema of the file.
pub fn schema() -> serde_json::Value {
    todo!()
}
