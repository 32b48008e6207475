//! What becomes of requests when more come than the process can answer.
//!
//! `cargo bench --bench overload` (add `-- --quick` for shorter windows). Needs `nginx` and `taskset`, and two cores: the
//! proxy has one worker on core 0, origin and clients share core 1. Requests come at a fixed rate whatever becomes of
//! them, and waiting is counted from the time at which each was due, so that none hides behind a slow one. Every request
//! carries a token that has not been seen before: verifying it is the work. The same is done with `shed_above = "off"`.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod clients;
mod subject;

use std::time::Duration;

use clients::Figures;
use subject::Subject;

fn main() {
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let quick = std::env::args().any(|a| a == "--quick");
    let seconds = if quick { 4 } else { 10 };
    for shed_above in ["10ms", "2ms", "off"] {
        run(shed_above, seconds);
    }
}

fn run(shed_above: &str, seconds: u32) {
    let subject = Subject::start(shed_above);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        clients::closed(&subject, 16, Duration::from_secs(1)).await;
        let capacity = clients::closed(&subject, 16, Duration::from_secs(3)).await;
        println!("\nshed_above = \"{shed_above}\": capacity {capacity} requests/s with 16 clients in turn\n");
        println!("| load | seconds | came | 200 | 503 | failed | p50 ms | p99 ms | max ms | 200/s |");
        println!("|---|---|---|---|---|---|---|---|---|---|");
        for (what, percent, seconds) in [
            ("80 %", 80, seconds),
            ("150 %", 150, seconds),
            ("80 % again", 80, 2),
            ("200 %", 200, seconds),
            ("80 % again", 80, 2),
        ] {
            let figures = clients::open(&subject, capacity * percent / 100, Duration::from_secs(seconds.into())).await;
            row(what, seconds, &figures);
        }
    });
}

fn row(what: &str, seconds: u32, figures: &Figures) {
    let millis = |at: f64| figures.percentile(at).as_secs_f64() * 1000.0;
    println!(
        "| {what} | {seconds} | {} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.0} |",
        figures.came,
        figures.waits.len(),
        figures.refused,
        figures.failed,
        millis(0.5),
        millis(0.99),
        millis(1.0),
        figures.waits.len() as f64 / f64::from(seconds)
    );
}
