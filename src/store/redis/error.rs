//! What Redis answers, without what it quotes: its texts can repeat arguments, passwords and records among them.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// Whether the connection is of no more use.
pub(super) fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || matches!(error.kind(), ErrorKind::Parse)
}

/// Whether another connection may lead to a server that can do it: after a failover the old one is a replica; in a
/// cluster keys go to other nodes, and a node may be cut off from the rest.
pub(super) fn is_wrong_server(error: &RedisError) -> bool {
    use ServerErrorKind::{ClusterDown, MasterDown, Moved, ReadOnly};
    matches!(error.kind(), ErrorKind::Server(ReadOnly | MasterDown | Moved | ClusterDown))
}

/// Whether the user may not do this.
pub(super) fn is_forbidden(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOPERM" | "ERR"))
}

/// Says what happened.
pub(super) fn told(error: &RedisError) -> StoreError {
    match error.kind() {
        // The operating system's and rustls's texts; Redis has no part in them.
        ErrorKind::Io => StoreError::Unreachable(error.to_string()),
        ErrorKind::Parse => StoreError::Unreachable("it does not speak the Redis protocol".into()),
        ErrorKind::AuthenticationFailed => {
            StoreError::Refused("Redis does not accept the user name or the password".into())
        }
        ErrorKind::Server(kind) => elsewhere(kind).unwrap_or_else(|| refused(error)),
        _ => refused(error),
    }
}

/// What a cluster says while it changes: not a refusal, and over when it is done.
fn elsewhere(kind: ServerErrorKind) -> Option<StoreError> {
    let meaning = match kind {
        ServerErrorKind::Moved => "our keys are on another node of the cluster (MOVED)",
        ServerErrorKind::Ask => "our keys are on their way to another node of the cluster (ASK)",
        ServerErrorKind::TryAgain => "our keys are on their way to another node of the cluster (TRYAGAIN)",
        ServerErrorKind::ClusterDown => "the cluster is down, or this node is cut off from it (CLUSTERDOWN)",
        _ => return None,
    };
    Some(StoreError::Unreachable(meaning.into()))
}

fn refused(error: &RedisError) -> StoreError {
    let servers = error.clone().into_server_errors();
    let server = servers.as_ref().and_then(|all| all.first()).map(|(_, error)| error);
    let code = server.map_or("", |error| error.code());
    let meaning = match code {
        "NOAUTH" => "Redis wants a user name and a password",
        "WRONGPASS" => "Redis does not accept the user name or the password",
        "NOPERM" => "Redis does not permit its user to run a command or use a key that the store needs",
        "READONLY" => "Redis is a replica and takes no writes",
        "MASTERDOWN" => "Redis is a replica that has lost its primary",
        "LOADING" => "Redis is still loading its data",
        "OOM" => "Redis has no memory left for writes",
        "MISCONF" => "Redis takes no writes because it cannot persist them",
        "NOREPLICAS" => "Redis takes no writes because it has too few replicas",
        "BUSY" => "Redis is busy with a script",
        "DENIED" => "Redis is in protected mode",
        "WRONGTYPE" => "Redis holds something of another type under this key",
        _ => "Redis refused the call",
    };
    StoreError::Refused(if is_code(code) { format!("{meaning} ({code})") } else { meaning.to_owned() })
}

/// An error's first word in upper case is a code; anything else could be a quotation.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    #[test]
    fn f49_what_redis_quotes_is_not_repeated() {
        let quoting = [
            ("ERR", "unknown command 'AUTH', with args beginning with: 'hunter2'"),
            ("hunter2", "hunter2"),
            ("HUNTER2", "hunter2"),
            ("NOPERM", "hunter2"),
        ];
        for (code, text) in quoting {
            let told = told(&make_extension_error(code.into(), Some(text.into()))).to_string();
            assert!(!told.to_lowercase().contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_known_code_is_explained() {
        let told = told(&make_extension_error("NOAUTH".into(), Some("Authentication required.".into())));
        assert_eq!(told.to_string(), "refused: Redis wants a user name and a password (NOAUTH)");
    }
}
