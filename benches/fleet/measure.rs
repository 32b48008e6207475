//! Revokes many credentials under load and keeps how long each was still accepted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis::store::Store;
use tokio::runtime::Runtime;

use crate::harness::fleet::{Credential, Credentials, Fleet, Instance, Kind, Watch};

/// So many are being revoked at a time …
const AT_ONCE: usize = 4;
/// … each by somebody who pauses between two of them, so that the machine is about half idle.
const PAUSE: Duration = Duration::from_millis(130);
/// How often one witness asks one instance.
const EVERY: Duration = Duration::from_millis(2);
/// Clients with nothing to do with it, on each instance, and how often each of them asks.
const OTHERS: usize = 4;
const OTHERS_EVERY: Duration = Duration::from_millis(4);

/// The head of the table.
pub(crate) const HEAD: &str = "scenario                                 | revoked | calls that failed | accepted afterwards | p50 ms | p90 ms | p99 ms | max ms | max ms where cut off | CPU of an instance";

/// What came of one scenario.
pub(crate) struct Measured {
    /// Milliseconds from the return of the revocation to the end of the last request that was accepted.
    late: Vec<f64>,
    /// The longest on the instance that is cut off for a while.
    longest_apart: Option<f64>,
    failed: usize,
    cpu: f64,
}

impl Measured {
    /// A line of the table.
    pub(crate) fn row(&self, name: &str) -> String {
        let mut late = self.late.clone();
        late.sort_by(f64::total_cmp);
        let at = |share: f64| late[((late.len() - 1) as f64 * share).round() as usize];
        let after = late.iter().filter(|late| **late > 0.0).count();
        let apart = self.longest_apart.map_or_else(|| "-".to_owned(), |longest| format!("{longest:.1}"));
        format!(
            "{name:<40} | {:>7} | {:>17} | {after:>19} | {:>6.1} | {:>6.1} | {:>6.1} | {:>6.1} | {apart:>20} | {:>4.0} %",
            late.len(),
            self.failed,
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0),
            self.cpu * 100.0,
        )
    }
}

/// Revokes `count` credentials of all kinds; `halfway` is done once half of them are. `apart`: the instance that it cuts
/// off, whose answers are kept apart.
pub(crate) fn run(
    fleet: &mut Fleet,
    store: &Store,
    instances: &[&Instance],
    apart: Option<usize>,
    count: usize,
    halfway: impl FnOnce() + Send,
) -> Measured {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let maker = tokio::sync::Mutex::new(Credentials::new(fleet, store.clone()));
    let make = |kind| persistently(&runtime, || async { maker.lock().await.make(kind).await });
    let (bystander, _) = make(Kind::Token);
    let others: Vec<Watch> = (0..OTHERS).map(|_| Watch::start(&bystander, instances, OTHERS_EVERY)).collect();
    others.iter().for_each(Watch::accepted_everywhere);

    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let late = Mutex::new(Vec::with_capacity(count));
    let (began, before) = (Instant::now(), cpu(instances));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let (credential, _) = make(Kind::ALL[number % Kind::ALL.len()]);
                    if let Some(took) = one(&credential, store, &runtime, instances, &failed) {
                        late.lock().expect("no panic").push(took);
                    }
                    std::thread::sleep(PAUSE);
                }
            });
        }
        scope.spawn(|| {
            while next.load(Ordering::Relaxed) < count / 2 {
                std::thread::sleep(EVERY);
            }
            halfway();
        });
    });
    let cpu = (cpu(instances) - before) / began.elapsed().as_secs_f64() / instances.len() as f64;
    drop(others);
    let late = late.into_inner().expect("no panic");
    let longest = |took: &Vec<f64>, of: &dyn Fn(usize) -> bool| {
        took.iter().enumerate().filter(|(index, _)| of(*index)).map(|(_, ms)| *ms).fold(0.0, f64::max)
    };
    Measured {
        late: late.iter().map(|took| longest(took, &|index| Some(index) != apart)).collect(),
        longest_apart: apart.map(|apart| late.iter().map(|took| took[apart]).fold(0.0, f64::max)),
        failed: failed.into_inner(),
        cpu,
    }
}

/// Revokes one credential that every instance has just accepted: for how many milliseconds more each of them did. `None`
/// where the store lost it before that.
fn one(
    credential: &Credential,
    store: &Store,
    runtime: &Runtime,
    instances: &[&Instance],
    failed: &AtomicUsize,
) -> Option<Vec<f64>> {
    let watch = Watch::start(credential, instances, EVERY);
    let seen = watch.until("known", |seen| seen.iter().all(|seen| seen.accepted.is_some() || seen.refused > 2));
    if seen.iter().any(|seen| seen.accepted.is_none()) {
        return None;
    }
    let ((), failures) = persistently(runtime, || credential.revoke(store));
    let returned = Instant::now();
    failed.fetch_add(failures, Ordering::Relaxed);
    let seen = watch.refused_everywhere(3);
    let after = |read: Instant| read.saturating_duration_since(returned).as_secs_f64() * 1000.0;
    Some(seen.iter().map(|seen| seen.accepted.map_or(0.0, |(_, read)| after(read))).collect())
}

/// Calls until the store has done it; also says how many calls failed.
fn persistently<T, E, F: Future<Output = Result<T, E>>>(runtime: &Runtime, call: impl Fn() -> F) -> (T, usize) {
    let mut failures = 0;
    loop {
        if let Ok(done) = runtime.block_on(call()) {
            return (done, failures);
        }
        failures += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Seconds of CPU time that the processes have used together.
fn cpu(instances: &[&Instance]) -> f64 {
    let of = |instance: &&Instance| {
        let path = format!("/proc/{}/stat", instance.serving().id());
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        // After the name, which stands in brackets: user time is the 12th field, system time the 13th.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
    };
    instances.iter().map(of).sum::<f64>() / 100.0
}
