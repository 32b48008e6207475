//! The client that everybody wants to have.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::process::Process;

/// How it fared.
pub(crate) struct Fared {
    /// Sorted.
    pub(crate) times: Vec<Duration>,
    pub(crate) failed: usize,
}

impl Fared {
    pub(crate) fn milliseconds(&self, percent: usize) -> f64 {
        let at = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// Asks for so long, on a new connection each time.
pub(crate) fn ask_for(process: &Process, time: Duration) -> Fared {
    let until = Instant::now() + time;
    let mut fared = Fared { times: Vec::new(), failed: 0 };
    while Instant::now() < until {
        let begun = Instant::now();
        match ask(process) {
            Some(()) => fared.times.push(begun.elapsed()),
            None => fared.failed += 1,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    fared.times.sort();
    fared
}

fn ask(process: &Process) -> Option<()> {
    let mut stream = TcpStream::connect(process.clear).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello")).then_some(())
}
