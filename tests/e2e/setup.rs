//! `scripts/setup` does not say that all is well when it is not.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

fn setup(before_path: &Path) -> Output {
    let of_system = std::env::var_os("PATH").expect("a PATH");
    let path = std::iter::once(before_path.to_owned()).chain(std::env::split_paths(&of_system));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup");
    let mut command = Command::new("sh");
    // From another folder: it finds its own.
    command.arg(script).current_dir("/").env("PATH", std::env::join_paths(path).expect("a PATH"));
    command.output().expect("a shell")
}

fn stand_in(folder: &Path, name: &str, code: u8) {
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/sh\nexit {code}\n")).expect("a file can be written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn where_all_is_there_it_does_nothing_and_where_the_browser_does_not_start_it_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    // A test installs nothing, also where nobody has run this before.
    stand_in(folder.path(), "apt-get", 1);
    stand_in(folder.path(), "cargo", 0);
    let done = setup(folder.path());
    assert!(done.status.success() && done.stdout.is_empty(), "{done:?}");

    stand_in(folder.path(), "chromium", 1);
    let failed = setup(folder.path());
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let said = String::from_utf8_lossy(&failed.stderr);
    assert!(said.contains("setup: chromium does not start"), "{said}");
}
