//! How this process was started, so that it can be started again.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

/// A program and its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// What this process was started by: the path by which it was named, not the file that was there then. Whoever puts
    /// another file (or link) in its place wants that one.
    pub fn of_this_process() -> io::Result<Self> {
        let mut arguments = env::args_os();
        let path = match arguments.next() {
            Some(name) if name.as_bytes().contains(&b'/') => env::current_dir()?.join(name),
            Some(name) => match on_the_path(&name) {
                Some(path) => path,
                None => env::current_exe()?,
            },
            None => env::current_exe()?,
        };
        Ok(Self { path, arguments: arguments.collect() })
    }

    #[cfg(test)]
    pub(super) fn new(path: &str, arguments: &[&str]) -> Self {
        Self { path: path.into(), arguments: arguments.iter().map(OsString::from).collect() }
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// To start it again.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments);
        command
    }
}

/// Where a shell has found it.
fn on_the_path(name: &OsStr) -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    env::split_paths(&env::var_os("PATH")?).map(|folder| here.join(folder).join(name)).find(|p| p.is_file())
}
