//! The one integration binary; a test's path mirrors the stage, door or verb it tests.

#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and the harness offers more than each test uses"
)]

mod app;
mod attacks;
mod bad_input;
mod ciphers;
mod cli;
mod deploy;
mod docker;
mod e2e;
mod edge;
mod fleet;
mod gate;
mod hardening;
mod harness;
mod layers;
mod mtls;
mod process;
mod proxy;
mod readme;
mod secrets;
mod store;
