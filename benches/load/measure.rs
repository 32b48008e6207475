//! One window of load, and what it cost.

use std::process::Command;
use std::time::Duration;

use crate::Scenario;
use crate::process::Contestant;
use crate::work::Work;

pub(crate) struct Sample {
    pub(crate) requests: u64,
    pub(crate) cpu_us: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) resident_mib: f64,
}

/// Drives the contestant at saturation with 32 connections from core 1.
pub(crate) fn run(contestant: &Contestant, scenario: &Scenario, work: &Work, window: Duration) -> Sample {
    let script = work.script(scenario);
    let before = contestant.cpu_ns();
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "-c32", "--latency", "-d"])
        .arg(format!("{}s", window.as_secs()))
        .arg("-s")
        .arg(script)
        .arg(format!("http://{}{}", contestant.address, scenario.path))
        .output()
        .expect("wrk runs");
    let after = contestant.cpu_ns();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Printed by the script: requests, duration µs, p50 µs, p99 µs, answers other than 2xx, socket errors.
    let figures: Vec<f64> = text
        .lines()
        .find_map(|l| l.strip_prefix("FIGURES "))
        .unwrap_or_else(|| panic!("no figures from wrk:\n{text}{}", String::from_utf8_lossy(&output.stderr)))
        .split(' ')
        .map(|n| n.parse().expect("a number"))
        .collect();
    let [requests, duration_us, p50_us, p99_us, refused, errors] = figures[..] else { panic!("six figures: {text}") };
    assert_eq!(refused, 0.0, "{} {}: answers other than 2xx", scenario.contestant, scenario.name);
    assert_eq!(errors, 0.0, "{} {}: socket errors", scenario.contestant, scenario.name);
    Sample {
        requests: requests as u64,
        cpu_us: (after - before) as f64 / 1000.0 / requests,
        per_second: requests / (duration_us / 1e6),
        p50_us,
        p99_us,
        resident_mib: contestant.resident_kib() as f64 / 1024.0,
    }
}
