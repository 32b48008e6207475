//! The tables.

use std::path::PathBuf;

use crate::Sample;
use crate::client::Kind;
use crate::process::Contestant;

/// Prints medians; all figures go to a file.
pub(crate) fn print(rows: &[(Kind, &Contestant, Vec<Sample>)], running: &[Contestant], idle: &[f64]) {
    let mut lines = String::new();
    println!("\n| | contestant | CPU µs | ÷ envoy | per second | load of the other core |");
    println!("|---|---|---|---|---|---|");
    for (kind, contestant, samples) in rows {
        let cpu = cpu(samples);
        // Envoy was not asked for the hybrid exchange: its full handshake is what there is.
        let same = if *kind == Kind::Hybrid { Kind::Full } else { *kind };
        let base =
            rows.iter().find(|(of, by, _)| *of == same && by.name == "envoy").map_or(cpu, |(_, _, s)| self::cpu(s));
        println!(
            "| {} | {} | {cpu:.1} | {:.2} | {:.0} | {:.0} % |",
            kind.text(),
            contestant.name,
            cpu / base,
            median(samples.iter().map(|s| s.per_second)),
            100.0 * median(samples.iter().map(|s| s.other_core)),
        );
        for s in samples {
            lines.push_str(&format!(
                "{{\"contestant\":\"{}\",\"kind\":\"{kind:?}\",\"cpu_us\":{:.3},\"per_second\":{:.1},\"other_core\":{:.3},\"count\":{}}}\n",
                contestant.name, s.cpu_us, s.per_second, s.other_core, s.count
            ));
        }
    }
    println!("\n| idle connection | KiB |\n|---|---|");
    for (contestant, kib) in running.iter().zip(idle) {
        println!("| {} | {kib:.1} |", contestant.name);
        lines.push_str(&format!("{{\"contestant\":\"{}\",\"idle_kib\":{kib:.2}}}\n", contestant.name));
    }
    let raw = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mtls.jsonl");
    std::fs::write(&raw, lines).expect("the raw figures can be written");
    println!("\nraw figures: {}", raw.display());
}

fn cpu(samples: &[Sample]) -> f64 {
    median(samples.iter().map(|s| s.cpu_us))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
