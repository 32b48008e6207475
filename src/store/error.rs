//! Why a call to a store failed.

use std::time::Duration;

/// Why a call failed. No variant holds a password or a record.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It did not answer within the configured time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// There is no connection to it.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// It refused the call.
    #[error("refused: {0}")]
    Refused(String),
    /// A record in it is not as it must be.
    #[error("record `{key}` is damaged: {problem}")]
    Damaged {
        /// Where.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// It cannot be used as it is configured.
    #[error("{0}")]
    Misconfigured(String),
}

impl StoreError {
    pub(super) fn damaged(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Damaged { key: key.into(), problem: problem.into() }
    }

    /// Says where JSON is wrong and never what stands there: serde's own text may quote the record.
    pub(super) fn damaged_json(key: impl Into<String>, error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a field is missing or of the wrong type",
            serde_json::error::Category::Eof => "it ends too early",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
        };
        Self::damaged(key, format!("{what}, line {}, column {}", error.line(), error.column()))
    }
}
