//! What becomes of requests when more come than the process can answer.
//!
//! `cargo bench --bench overload` (add `-- --quick` for shorter windows). Needs `nginx` and `taskset`, and two cores: the
//! proxy has one worker on core 0, origin and clients share core 1. Requests come at a fixed rate whatever becomes of
//! them, and waiting is counted from the time at which each was due, so that none hides behind a slow one. Every request
//! carries a token that has not been seen before: verifying it is the work. The same is done with `shed_above = "off"`. `--only 10ms` does one of the settings;
//! `PORTCULLIS=old:new` compares binaries.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod clients;
mod subject;

use std::time::Duration;

use clients::Figures;
use subject::Subject;

/// Clients in turn whom nothing should refuse: there are never more requests than clients.
const CLIENTS: usize = 256;

fn main() {
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let quick = std::env::args().any(|a| a == "--quick");
    let seconds = if quick { 4 } else { 10 };
    let only: Vec<String> = std::env::args().skip_while(|a| a != "--only").skip(1).take(1).collect();
    let binaries = std::env::var("PORTCULLIS").unwrap_or_else(|_| env!("CARGO_BIN_EXE_portcullis").to_owned());
    for shed_above in ["10ms", "2ms", "off"] {
        for binary in binaries.split(':').filter(|_| only.iter().all(|only| only == shed_above)) {
            run(binary, shed_above, seconds);
        }
    }
}

fn run(binary: &str, shed_above: &str, seconds: u32) {
    let subject = Subject::start(binary, shed_above);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        clients::closed(&subject, 16, Duration::from_secs(1)).await;
        let closed = clients::closed(&subject, 16, Duration::from_secs(3)).await;
        assert_eq!((closed.failed, closed.refused), (0, 0), "a few clients are no overload");
        let capacity = closed.rate();
        println!("\n{binary}, shed_above = \"{shed_above}\": capacity {capacity} requests/s with 16 clients in turn\n");
        println!("| load | came | 200 | 503 | failed | p50 ms | p99 ms | of 80 % | max ms | 200/s | recovered ms |");
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        let many = clients::closed(&subject, CLIENTS, Duration::from_secs(seconds.into())).await;
        row("256 in turn", &many, None, "");
        let mut normal = None;
        for (what, percent, seconds) in [
            ("80 %, the first", 80, 1),
            ("80 %", 80, seconds),
            ("120 %", 120, seconds),
            ("80 % again", 80, 2),
            ("150 %", 150, seconds),
            ("80 % again", 80, 2),
            ("200 %", 200, seconds),
            ("80 % again", 80, 2),
        ] {
            let figures = clients::open(&subject, capacity * percent / 100, Duration::from_secs(seconds.into())).await;
            if what == "80 %" {
                normal = Some(figures.percentile(0.99));
            }
            let recovered = match normal.filter(|_| what == "80 % again") {
                Some(normal) => figures.recovered(2 * normal).map_or("never".to_owned(), |t| t.as_millis().to_string()),
                None => String::new(),
            };
            row(what, &figures, normal, &recovered);
        }
    });
}

/// `normal`: the 99th percentile at 80 %.
fn row(what: &str, figures: &Figures, normal: Option<Duration>, recovered: &str) {
    let millis = |at: f64| figures.percentile(at).as_secs_f64() * 1000.0;
    let times = normal.map_or(String::new(), |normal| format!("{:.1}×", millis(0.99) / 1000.0 / normal.as_secs_f64()));
    println!(
        "| {what} | {} | {} | {} | {} | {:.1} | {:.1} | {times} | {:.1} | {} | {recovered} |",
        figures.came,
        figures.waits.len(),
        figures.refused,
        figures.failed,
        millis(0.5),
        millis(0.99),
        millis(1.0),
        figures.rate()
    );
}
