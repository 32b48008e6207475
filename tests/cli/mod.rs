//! The command line: what it prints, and its exit codes.

mod certs;
mod check;
mod demo;
mod keys;
mod revoke;
mod run;
mod tokens;
mod usage;

/// A sidecar that protects `/` with API keys and sessions, and keeps them in its memory.
const SIDECAR: &str = r#"
listener.main.bind = "127.0.0.1:0"
health.bind = "127.0.0.1:0"
admin.socket = "unix:admin.sock"
defaults.upstream = "http://127.0.0.1:9"

[roles]
viewer = ["things:read"]

[route.all]
match = "/{*rest}"
accept = ["api_key", "session"]
allow = [{ permissions = ["things:read"] }]
"#;
