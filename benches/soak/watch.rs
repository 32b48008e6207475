//! What the process weighs, and how that changes.

use std::time::{Duration, Instant};

use crate::clients::Tally;
use crate::world::World;

/// One look.
pub(crate) struct Sample {
    at: Duration,
    resident_kib: u64,
    files: usize,
    answered: u64,
}

impl Sample {
    pub(crate) fn take(world: &World, at: Duration, tally: &Tally) -> Self {
        let (resident_kib, files) = weigh(world.pid());
        Self { at, resident_kib, files, answered: tally.answered() }
    }
}

fn weigh(pid: u32) -> (u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let resident = resident.trim().trim_end_matches(" kB").parse().expect("a number");
    (resident, std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files").count())
}

/// About twenty lines of the run.
pub(crate) fn print(samples: &[Sample]) {
    println!("\n| minute | requests/s | resident MiB | open files |\n|---|---|---|---|");
    let step = (samples.len() / 20).max(1);
    let mut before: Option<&Sample> = None;
    for sample in samples.iter().step_by(step) {
        if let Some(before) = before {
            let per_second = (sample.answered - before.answered) as f64 / (sample.at - before.at).as_secs_f64();
            println!(
                "| {:.1} | {per_second:.0} | {:.1} | {} |",
                sample.at.as_secs_f64() / 60.0,
                sample.resident_kib as f64 / 1024.0,
                sample.files
            );
        }
        before = Some(sample);
    }
}

/// Least squares over the last two thirds.
pub(crate) fn slope(samples: &[Sample]) -> String {
    let rest = samples.get(samples.len() / 3..).unwrap_or_default();
    let n = rest.len() as f64;
    let point = |sample: &Sample| (sample.at.as_secs_f64() / 3600.0, sample.resident_kib as f64 / 1024.0);
    let (mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0);
    for (at, mib) in rest.iter().map(point) {
        (x, y, xx, xy) = (x + at, y + mib, xx + at * at, xy + at * mib);
    }
    let slope = (n * xy - x * y) / (n * xx - x * x);
    let (least, most) = rest
        .iter()
        .map(|sample| sample.resident_kib as f64 / 1024.0)
        .fold((f64::INFINITY, 0.0_f64), |(least, most), mib| (least.min(mib), most.max(mib)));
    format!("{least:.1} to {most:.1} MiB in the last two thirds, {slope:+.2} MiB an hour")
}

/// Waits until no connection is left, for a minute at most.
pub(crate) async fn settled(world: &World) -> String {
    let begun = Instant::now();
    loop {
        let open = world.metric("portcullis_connections{");
        let open = if open.is_empty() { world.metric("portcullis_connections ") } else { open };
        if open.ends_with(" 0") || begun.elapsed() > Duration::from_secs(60) {
            let (resident_kib, files) = weigh(world.pid());
            return format!("{open}, {:.1} MiB resident, {files} open files", resident_kib as f64 / 1024.0);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
