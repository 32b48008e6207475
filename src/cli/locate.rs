//! Finds and reads the configuration.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::config::{self, Loaded};

/// Where to look if no file is named.
const PLACES: [&str; 2] = ["portcullis.toml", "/etc/portcullis/portcullis.toml"];

/// Which configuration.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ConfigArgs {
    /// The configuration; default: ./portcullis.toml, then /etc/portcullis/portcullis.toml
    #[arg(long, short, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Override one value, such as `listener.main.bind=127.0.0.1:8080`; can be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(super) overrides: Vec<String>,
}

impl ConfigArgs {
    /// The file that is meant.
    pub(super) fn path(&self) -> Result<PathBuf, Failure> {
        match &self.config {
            Some(path) => Ok(path.clone()),
            None => PLACES.iter().map(Path::new).find(|path| path.exists()).map(Path::to_owned).ok_or_else(|| {
                let [first, second] = PLACES;
                Failure::usage(format!(
                    "no configuration: there is neither `./{first}` nor `{second}`.\nName one with --config FILE, or \
                     write one with `portcullis init --upstream URL --issuer URL --audience NAME > portcullis.toml`."
                ))
            }),
        }
    }

    /// Reads it again each time; what is wrong is told as start would.
    pub(super) fn loader(self) -> impl Fn() -> Result<Loaded, String> + Send + Sync {
        move || {
            let path = self.path().map_err(|_| "there is no configuration any more".to_owned())?;
            config::load(&path, &self.overrides).map_err(|problems| problems.to_string())
        }
    }

    /// Reads it.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        Ok(config::load(&self.path()?, &self.overrides)?)
    }
}
