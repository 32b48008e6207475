//! How a verb fails.

use std::process::ExitCode;

use super::output;
use crate::app::StartError;
use crate::config::Problems;

/// Why a verb did not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// Refused or failed, with a message: 1.
    Failed(String),
    /// Bad usage or configuration, with a message: 2.
    Usage(String),
    /// A configuration that is not good: 2.
    Configuration(Problems),
    /// All has been said already.
    Said(u8),
}

impl Failure {
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// The message, where it has not been said already.
    pub(super) fn message(&self) -> Option<String> {
        match self {
            Self::Failed(message) | Self::Usage(message) => Some(message.clone()),
            Self::Configuration(problems) => Some(problems.to_string()),
            Self::Said(_) => None,
        }
    }

    /// Says it on standard error; the exit code.
    pub(super) fn report(self) -> ExitCode {
        match self {
            Self::Failed(message) => {
                output::complain(&format!("portcullis: {message}"));
                ExitCode::from(1)
            }
            Self::Usage(message) => {
                output::complain(&format!("portcullis: {message}"));
                ExitCode::from(2)
            }
            Self::Configuration(problems) => {
                output::complain(&problems.to_string());
                ExitCode::from(2)
            }
            Self::Said(code) => ExitCode::from(code),
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Configuration(problems)
    }
}

impl From<StartError> for Failure {
    fn from(problem: StartError) -> Self {
        match problem {
            StartError::Configuration(message) => Self::Usage(message),
            StartError::Failed(message) => Self::Failed(message),
        }
    }
}
