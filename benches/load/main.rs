//! Whole process, real client, real upstream: what one request costs with authentication, beside nginx that does none.
//!
//! `cargo bench --bench load` (add `-- --quick` for shorter windows). Needs `nginx`, `wrk`, `redis-server` and `taskset`,
//! and two cores: the proxy that is measured has core 0 for itself, everything else shares core 1. The prime figure is
//! the CPU time of the proxy's process per request, as the kernel accounts it; contestants take turns, medians are
//! quoted, and ratios hold within one run only. Before timing, each contestant must prove that it does the work.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod contestants;
mod measure;
mod ports;
mod process;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use measure::Sample;
use process::Contestant;

/// What one contestant is asked to do.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) contestant: &'static str,
    pub(crate) path: &'static str,
    pub(crate) credentials: work::Credentials,
}

fn main() {
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let quick = std::env::args().any(|a| a == "--quick");
    let missing: Vec<_> = ["nginx", "wrk", "redis-server", "taskset"].into_iter().filter(|t| !on_path(t)).collect();
    if !missing.is_empty() {
        println!("load: missing {missing:?}; on Debian: apt-get install nginx-light wrk redis-server util-linux");
        std::process::exit(1);
    }
    let (rounds, window) = if quick { (3, Duration::from_secs(3)) } else { (5, Duration::from_secs(8)) };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let work = work::Work::prepare(folder.path());
    let running = contestants::start(folder.path(), &work);
    let scenarios = work.scenarios();
    for scenario in &scenarios {
        prove(find(&running, scenario.contestant), scenario);
    }

    let mut samples: Vec<Vec<Sample>> = scenarios.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (scenario, samples) in scenarios.iter().zip(&mut samples) {
            let contestant = find(&running, scenario.contestant);
            // Round 0 warms caches and connections up, and is thrown away.
            let window = if round == 0 { Duration::from_secs(1) } else { window };
            let sample = measure::run(contestant, scenario, &work, window);
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    report(&scenarios, &samples);
}

fn find<'a>(running: &'a [Contestant], name: &str) -> &'a Contestant {
    running.iter().find(|c| c.name == name).expect("a contestant of that name")
}

/// 200 with the identity forwarded; 401 without or with a tampered credential; no spoofed identity.
fn prove(contestant: &Contestant, scenario: &Scenario) {
    let work::Proof { with, without, tampered, seen } = work::prove(contestant.address, scenario);
    assert_eq!(with, 200, "{} {}", scenario.contestant, scenario.name);
    if let Some((header, _)) = scenario.credentials.first() {
        assert_eq!(without, 401, "{} {} lets in who has no {header}", scenario.contestant, scenario.name);
        assert_eq!(tampered, 401, "{} {} lets in a tampered {header}", scenario.contestant, scenario.name);
        assert_eq!(
            seen.as_deref(),
            Some("bench"),
            "{} {} does not tell the upstream who it is",
            scenario.contestant,
            scenario.name
        );
    } else if contestant.name == "portcullis" {
        assert_eq!(seen, None, "a spoofed identity header reaches the upstream");
    }
}

fn report(scenarios: &[Scenario], samples: &[Vec<Sample>]) {
    let base = median(samples[0].iter().map(|s| s.cpu_us));
    let raw = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("load.jsonl");
    let mut lines = String::new();
    println!("\n| scenario | CPU µs/request | ÷ nginx S0 | requests/s | p50 µs | p99 µs | resident MiB |");
    println!("|---|---|---|---|---|---|---|");
    for (scenario, samples) in scenarios.iter().zip(samples) {
        let cpu = median(samples.iter().map(|s| s.cpu_us));
        println!(
            "| {} {}: {} | {cpu:.1} | {:.2} | {:.0} | {:.0} | {:.0} | {:.1} |",
            scenario.contestant,
            scenario.name,
            scenario.what,
            cpu / base,
            median(samples.iter().map(|s| s.per_second)),
            median(samples.iter().map(|s| s.p50_us)),
            median(samples.iter().map(|s| s.p99_us)),
            median(samples.iter().map(|s| s.resident_mib)),
        );
        for s in samples {
            lines.push_str(&format!(
                "{{\"contestant\":\"{}\",\"scenario\":\"{}\",\"cpu_us\":{:.3},\"per_second\":{:.1},\"p50_us\":{:.1},\"p99_us\":{:.1},\"resident_mib\":{:.2},\"requests\":{}}}\n",
                scenario.contestant, scenario.name, s.cpu_us, s.per_second, s.p50_us, s.p99_us, s.resident_mib, s.requests
            ));
        }
    }
    std::fs::write(&raw, lines).expect("the raw figures can be written");
    println!("\nraw figures: {}", raw.display());
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn on_path(tool: &str) -> bool {
    let extra = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default()
        .into_iter()
        .chain(extra)
        .any(|folder| folder.join(tool).is_file())
}
