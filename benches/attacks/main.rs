//! Attacks on the whole process, and what is left for everybody else while they go on.
//!
//! `cargo bench --bench attacks` runs all of them, `cargo bench --bench attacks -- ping rapid` those whose names hold one
//! of these words. Each starts a Portcullis of its own on loopback, before an upstream in this process; a well-behaved
//! client asks every few milliseconds on new connections, for two seconds in peace and then for as long as the attack
//! goes on. Attacks are bounded in connections and in time (`ATTACK_SECONDS`, 8) and end by themselves. What counts is
//! memory: it has a bound, and is given back. Timeouts are shortened so that an attack outlives them.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    dead_code,
    unreachable_pub,
    missing_docs
)]

mod clear;
mod floods;
mod good;
#[path = "../../tests/harness/h2raw.rs"]
mod h2raw;
mod idle;
mod process;
mod tls;
mod upstream;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use process::Process;

/// What an attack knows.
pub(crate) struct World {
    pub(crate) process: Process,
    stop: AtomicBool,
    /// Connections that were opened, and those that were ended by the other side.
    pub(crate) opened: AtomicU64,
    pub(crate) ended: AtomicU64,
}

impl World {
    pub(crate) fn goes_on(&self) -> bool {
        !self.stop.load(Relaxed)
    }
}

/// An attack: its name, how many threads of it there are, and what each of them does until [`World::goes_on`] says no.
type Attack = (&'static str, usize, fn(&World));

const ATTACKS: &[Attack] = &[
    ("slowloris: 1,000 heads, byte by byte", 1, clear::slowloris),
    ("slow read: 200 large answers at 10 B/s", 1, clear::slow_read),
    ("slow body: 500 bodies, a byte a second", 1, clear::slow_body),
    ("vanishing: clients gone in mid-body", 2, clear::vanish),
    ("silent upstream: 500 requests at once", 1, clear::silent_upstream),
    ("garbage upstream", 2, clear::garbage_upstream),
    ("rapid reset", 2, floods::rapid_reset),
    ("CONTINUATION flood", 2, floods::continuation),
    ("HPACK bomb: 4 KiB, 4,000 times", 2, floods::hpack_bomb),
    ("crumb bomb: cookies of one byte", 2, floods::crumb_bomb),
    ("SETTINGS flood", 2, floods::settings),
    ("PING flood", 2, floods::ping),
    ("PRIORITY flood", 2, floods::priority),
    ("empty DATA flood", 2, floods::empty_data),
    ("small DATA, upstream that takes none", 2, floods::small_data),
    ("stalled streams: 20 × 100, windows of a byte", 1, floods::stalled),
    ("TLS: 2,000 handshakes that stop", 1, tls::stalled),
    ("TLS: handshakes as fast as can be", 2, tls::flood),
];

fn main() {
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let seconds = std::env::var("ATTACK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    process::allow_many_files();
    println!(
        "| attack | connections (ended) | MiB before | at most | after | good p50 / p99 ms before | during | good failed |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for attack in ATTACKS.iter().filter(|attack| wanted(attack.0)) {
        run(attack, Duration::from_secs(seconds));
    }
    if wanted("idle") {
        idle::run();
    }
}

fn run((name, threads, attack): &Attack, time: Duration) {
    let process = Process::start();
    let world = World { process, stop: AtomicBool::new(false), opened: AtomicU64::new(0), ended: AtomicU64::new(0) };
    // Warm: what is allocated once is no figure of the attack.
    good::ask_for(&world.process, Duration::from_millis(500));
    let peace = good::ask_for(&world.process, Duration::from_secs(2));
    let before = world.process.resident_kib();
    let most = AtomicU64::new(before);
    let war = std::thread::scope(|scope| {
        for _ in 0..*threads {
            scope.spawn(|| attack(&world));
        }
        scope.spawn(|| {
            while world.goes_on() {
                most.fetch_max(world.process.resident_kib(), Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let war = good::ask_for(&world.process, time);
        world.stop.store(true, Relaxed);
        war
    });
    // All connections of the attack are closed by now. Memory goes back a little later.
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        good::ask_for(&world.process, Duration::from_millis(100));
    }
    println!(
        "| {name} | {} ({}) | {:.1} | {:.1} | {:.1} | {:.1} / {:.1} | {:.1} / {:.1} | {} of {} |",
        world.opened.load(Relaxed),
        world.ended.load(Relaxed),
        mib(before),
        mib(most.load(Relaxed)),
        mib(world.process.resident_kib()),
        peace.milliseconds(50),
        peace.milliseconds(99),
        war.milliseconds(50),
        war.milliseconds(99),
        war.failed,
        war.failed + war.times.len(),
    );
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
