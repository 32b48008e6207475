//! Half an hour of everyday trouble.
//!
//! `cargo bench --bench soak` (`-- --minutes 2` for a short one). Needs `nginx`, `redis-server` and `taskset`, and two
//! cores: the proxy has one worker on core 0, everything else shares core 1. Clients keep it at four fifths of what it can
//! do, over HTTP/1.1 and HTTP/2, with tokens, API keys and sessions. Meanwhile the configuration is reloaded, its two
//! upstreams are restarted in turn, and so is Redis. Every request is accounted for, memory and open files are sampled
//! until the end, when all clients have left.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod clients;
mod watch;
mod world;

use std::rc::Rc;
use std::time::{Duration, Instant};

use clients::{Clients, Tally};
use watch::Sample;
use world::World;

/// How often something happens.
const RELOAD: Duration = Duration::from_secs(15);
const RESTART_UPSTREAM: Duration = Duration::from_secs(40);
const RESTART_REDIS: Duration = Duration::from_secs(100);
const SAMPLE: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|a| a == "--test" || a == "--list") {
        return;
    }
    let minutes = arguments.iter().position(|a| a == "--minutes").and_then(|at| arguments.get(at + 1)?.parse().ok());
    let time = Duration::from_secs(60 * minutes.unwrap_or(30));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, soak(time));
}

async fn soak(time: Duration) {
    let mut world = World::start().await;
    let capacity = capacity(&world).await;
    let rate = capacity * 4 / 5;
    println!("capacity {capacity} requests/s; {rate} requests/s for {} minutes", time.as_secs() / 60);

    let clients = Clients::start(&world, Some(rate));
    let begun = Instant::now();
    let (mut reload, mut upstream, mut redis) = (RELOAD, RESTART_UPSTREAM, RESTART_REDIS);
    let mut samples = Vec::new();
    let mut trouble = world::Trouble::default();
    while begun.elapsed() < time {
        tokio::time::sleep(SAMPLE).await;
        samples.push(Sample::take(&world, begun.elapsed(), &clients.tally()));
        let now = begun.elapsed();
        if now >= reload {
            reload += RELOAD;
            world.reload(&mut trouble);
        }
        if now >= upstream {
            upstream += RESTART_UPSTREAM;
            world.restart_upstream(&mut trouble).await;
        }
        // The last stretch is quiet, so that what is left over shows.
        if now >= redis && now + RESTART_REDIS / 2 < time {
            redis += RESTART_REDIS;
            world.restart_redis(&mut trouble).await;
        }
    }
    let tally = clients.stop().await;
    report(&world, &samples, &tally, &trouble).await;
}

async fn capacity(world: &World) -> u32 {
    let clients = Clients::start(world, None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, begun) = (clients.tally().answered(), Instant::now());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (after, took) = (clients.tally().answered(), begun.elapsed());
    clients.stop().await;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rate")]
    let rate = ((after - before) as f64 / took.as_secs_f64()) as u32;
    rate
}

async fn report(world: &World, samples: &[Sample], tally: &Rc<Tally>, trouble: &world::Trouble) {
    watch::print(samples);
    println!("\n{trouble}");
    println!("{tally}");
    let settled = watch::settled(world).await;
    println!("after all clients have left: {settled}");
    println!("resident memory: {}", watch::slope(samples));
    println!("reloads as the process counts them: {}", world.metric("portcullis_reloads"));
    assert_eq!(tally.lost(), 0, "requests without an answer");
}
