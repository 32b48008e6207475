//! How long after a revocation returned did any instance still accept what was revoked?
//!
//! `cargo bench --bench fleet` (add `-- --quick` for a tenth of it). Three processes share one Redis. Credentials of every
//! kind are presented to all three, over and over, and are then revoked one by one; the figure is the time from the
//! return of the call that revoked to the end of the last request that was accepted on any instance, zero where none was.
//! All the while other clients keep the instances busy. Needs `redis-server`.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench prints, ends by panicking, and borrows the harness of the tests"
)]

#[path = "../../tests/harness/mod.rs"]
mod harness;
mod measure;
mod scenarios;

fn main() {
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let quick = std::env::args().any(|a| a == "--quick");
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let count = if quick { 100 } else { 1000 };
    println!("{}", measure::HEAD);
    for scenario in scenarios::ALL {
        if only.as_ref().is_none_or(|only| scenario.name.contains(only.as_str())) {
            println!("{}", (scenario.run)(count).row(scenario.name));
        }
    }
}
