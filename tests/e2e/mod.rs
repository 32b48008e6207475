//! The built binary behind TLS, and clients that people use. `scripts/setup` installs those.

mod browser;
mod curl;
mod front;
mod grpc;
mod h2load;
mod legacy_app;
pub mod python;
mod setup;
mod websocket;
