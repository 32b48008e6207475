//! How soon the binary is ready, and what it weighs while idle.
//!
//! `cargo bench --bench start`. Runs the example configuration on ports of its own and quotes the time from the start of
//! the process to the line `ready` of its log, and the resident memory (of which a part is shared with the files that
//! are mapped) and the threads that it has then.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often it is started.
const STARTS: usize = 20;

/// What one start came to.
struct Start {
    ready: Duration,
    resident_kib: u64,
    file_kib: u64,
    threads: u64,
}

fn main() {
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let mut starts: Vec<Start> = (0..STARTS).map(|_| start()).collect();
    starts.sort_by_key(|start| start.ready);
    let (first, last) = (starts.first().expect("a start"), starts.last().expect("a start"));
    let middle = starts.get(STARTS / 2).expect("a start");
    let milliseconds = |start: &Start| start.ready.as_secs_f64() * 1000.0;
    println!(
        "ready after {:.1} ms (median of {STARTS}; {:.1} to {:.1})",
        milliseconds(middle),
        milliseconds(first),
        milliseconds(last)
    );
    let most = starts.iter().max_by_key(|start| start.resident_kib).expect("a start");
    println!(
        "resident while idle: {:.1} MiB at most, {:.1} MiB of it from files; {} threads",
        mib(most.resident_kib),
        mib(most.file_kib),
        most.threads
    );
}

fn mib(kib: u64) -> f64 {
    Duration::from_secs(kib).as_secs_f64() / 1024.0
}

fn start() -> Start {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
    let begun = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["run", "--config", example])
        .args(["--set", "listener.main.bind=127.0.0.1:0", "--set", "health.bind=127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    let mut running = Running(child);
    let log = BufReader::new(running.0.stderr.take().expect("a pipe"));
    let mut told = Vec::new();
    for line in log.lines().map_while(Result::ok) {
        if line.ends_with(" ready") {
            let ready = begun.elapsed();
            let status = std::fs::read_to_string(format!("/proc/{}/status", running.0.id())).expect("its status");
            let number = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of its status");
                line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
            };
            return Start {
                ready,
                resident_kib: number("VmRSS"),
                file_kib: number("RssFile"),
                threads: number("Threads"),
            };
        }
        told.push(line);
    }
    panic!("it ended before it was ready:\n{}", told.join("\n"));
}

/// Ends when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
