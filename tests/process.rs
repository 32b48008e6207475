//! The process as its surroundings see it: signals, limits, memory.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::http::{Wire, get};
use crate::harness::process::{Serving, folder, portcullis};
use crate::harness::upstream::Upstream;

/// Only so that a broken test ends; no test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most resident memory of an idle instance, in KiB.
const IDLE_MEMORY: u64 = 16 * 1024;

/// An upstream whose answer to `/slow` waits for a word of the test.
struct Slow {
    upstream: Upstream,
    arrived: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
}

fn slow() -> Slow {
    let (arrives, arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let upstream = Upstream::answering(move |request| {
        if request.target() == "/slow" {
            let _ = arrives.send(());
            let _ = released.lock().expect("no panic").recv_timeout(PATIENCE);
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec()
    });
    Slow { upstream, arrived, release }
}

fn configuration(upstream: &Upstream) -> String {
    format!(
        "listener.main.bind = \"127.0.0.1:0\"\nhealth.bind = \"127.0.0.1:0\"\ndefaults.upstream = \"{}\"\n\
         [route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\n",
        upstream.url()
    )
}

/// A request that has reached the upstream and waits there.
fn in_flight(serving: &Serving, slow: &Slow) -> Wire {
    let mut client = Wire::connect(serving.address("main"));
    client.write("GET /first HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.read_answer().expect("an answer").body, "done");
    client.write("GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n");
    slow.arrived.recv_timeout(PATIENCE).expect("the request reaches the upstream");
    client
}

#[test]
fn a_request_in_flight_is_answered_and_the_exit_code_is_0() {
    let slow = slow();
    let (_guard, here) = folder(&configuration(&slow.upstream));
    let mut serving = Serving::run(&here).ready();
    let address = serving.address("main");
    let mut client = in_flight(&serving, &slow);
    serving.signal(Signal::TERM);
    serving.says("draining");
    slow.release.send(()).expect("the upstream waits");
    let answer = client.read_answer().expect("the answer is not lost");
    assert_eq!((answer.status, &*answer.body), (200, "done"));
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_request_that_never_ends_is_cut_off_when_the_grace_is_over() {
    let slow = slow();
    let (_guard, here) = folder(&configuration(&slow.upstream));
    let mut serving = Serving::start(portcullis(&here).args(["run", "--set", "server.shutdown_grace=100ms"])).ready();
    let mut client = in_flight(&serving, &slow);
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
    assert!(client.read_answer().is_none_or(|answer| answer.status != 200));
}

#[test]
fn a_second_signal_ends_at_once() {
    let slow = slow();
    let (_guard, here) = folder(&configuration(&slow.upstream));
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM), (Signal::TERM, Signal::INT)] {
        let mut serving = Serving::start(portcullis(&here).args(["run", "--set", "server.drain_delay=1h"])).ready();
        serving.signal(first);
        serving.says("draining");
        assert_eq!(get(serving.health(), "/livez", "").status, 200, "alive until it ends");
        serving.signal(second);
        assert_eq!(serving.ended().code(), Some(1), "{}", serving.log());
    }
}

#[test]
fn secrets_stay_out_of_core_dumps() {
    let (_guard, here) = folder(&configuration(&Upstream::start()));
    let serving = Serving::run(&here).ready();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serving.id())).expect("its limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line for cores");
    let values: Vec<&str> = core["Max core file size".len()..].split_whitespace().take(2).collect();
    assert_eq!(values, ["0", "0"], "{core}");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line for files");
    let values: Vec<&str> = files["Max open files".len()..].split_whitespace().take(2).collect();
    assert_eq!(values[0], values[1], "as many connections as the hard limit allows: {files}");
}

#[test]
fn the_example_runs_as_it_stands_and_takes_little_memory() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
    let (_guard, here) = folder("");
    // But for the ports, which others may use.
    let ports = ["--set", "listener.main.bind=127.0.0.1:0", "--set", "health.bind=127.0.0.1:0"];
    let serving = Serving::start(portcullis(&here).args(["run", "--config", example]).args(ports)).ready();
    assert_eq!(get(serving.address("main"), "/orders/1", "").status, 401);
    let memory = resident(&serving);
    println!("resident when idle: {memory} KiB");
    if cfg!(debug_assertions) {
        println!("not held to {IDLE_MEMORY} KiB: this build is not optimized");
    } else {
        assert!(memory < IDLE_MEMORY, "{memory} KiB");
    }
}

/// In KiB.
fn resident(serving: &Serving) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
