//! Malformed and ambiguous requests, byte for byte, through the whole proxy: what the upstream sees is what the client
//! sent as exactly one well-formed request, and nothing else, however the bytes are cut.

mod exchanges;
mod lengths;
mod lines;
mod recorder;
pub mod strict;
pub mod table;
mod targets;

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use self::recorder::Recorder;
use self::table::{End, Entry, Table};
use crate::harness::portcullis::Portcullis;

const BEFORE: &str = "GET /before HTTP/1.1\r\nHost: a\r\n\r\n";
const AFTER: &str = "GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Bytes per write: all at once, and pieces that end in the middle of everything.
const PIECES: [usize; 4] = [usize::MAX, 1, 3, 64];

/// What is longer than this is not sent byte by byte.
const LONG: usize = 2000;

pub struct World {
    pub recorder: Recorder,
    /// How many requests the upstream has seen the beginning of.
    partial: Cell<usize>,
    pub portcullis: Portcullis,
}

pub fn world() -> World {
    let recorder = Recorder::start();
    let route = format!(
        "[defaults]\nupstream = \"{}\"\n[log]\naccess = false\n[route]\n\
         all = {{ match = \"/{{*rest}}\", accept = \"anyone\" }}\nsecret = {{ match = \"/secret\", accept = \"jwt\" }}\n",
        recorder.url()
    );
    World { portcullis: Portcullis::start(&route), recorder, partial: Cell::new(0) }
}

/// What came back on one connection, to its end.
fn exchange(to: SocketAddr, stream: &[u8], piece: usize) -> Vec<u8> {
    let mut socket = TcpStream::connect(to).expect("a connection");
    socket.set_nodelay(true).expect("no delay");
    // Only so that a connection that should end and does not is a failure.
    socket.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    for bytes in stream.chunks(piece.min(stream.len())) {
        // What is refused may be closed before all of it has been sent.
        if socket.write_all(bytes).is_err() {
            break;
        }
    }
    let (mut all, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&all)),
        }
    }
}

/// Status and body of each answer; `100 Continue` aside.
fn answers(mut bytes: &[u8], methods: &[&str]) -> Result<Vec<(u16, String)>, String> {
    let (mut answers, mut methods) = (Vec::new(), methods.iter());
    let mut method = methods.next();
    while !bytes.is_empty() {
        let asked = method.copied().unwrap_or("GET");
        let (answer, length) = strict::answer(bytes, asked)?.ok_or("an answer is not whole")?;
        bytes = &bytes[length..];
        let status = strict::status(&answer.start).ok_or("no status")?;
        if status != 100 {
            answers.push((status, String::from_utf8_lossy(&answer.body).into_owned()));
            method = methods.next();
        }
    }
    Ok(answers)
}

/// Sends one entry between two good requests and compares what either side has seen.
fn check(world: &World, entry: &Entry, first: bool, piece: usize) -> Result<(), String> {
    let before = if first { "" } else { BEFORE };
    let stream = [before.as_bytes(), &entry.bytes, AFTER.as_bytes()].concat();
    let raw = exchange(world.portcullis.address(), &stream, piece);
    let seen = world.recorder.take();
    world.partial.set(world.partial.get() + seen.partial.len());
    if !seen.faults.is_empty() {
        return Err(format!("the upstream was sent what is no request: {:?}", seen.faults));
    }
    let requests: Vec<String> = seen.requests.iter().map(|request| request.summary()).collect();

    let mut expected: Vec<&str> = if first { Vec::new() } else { vec!["GET /before"] };
    expected.extend(entry.served.iter().map(String::as_str));
    let mut answered: Vec<(u16, String)> = expected.iter().map(|request| (200, about(request))).collect();
    let goes_on = match entry.end {
        End::Open | End::Denied(_) | End::Failed(_) => true,
        End::Unread(_) => requests.len() > expected.len(),
        End::Closed | End::Refused(_) | End::Broken => false,
    };
    match entry.end {
        End::Denied(status) | End::Refused(status) | End::Unread(status) => answered.push((status, String::new())),
        End::Failed(status) => answered.last_mut().expect("one that fails").0 = status,
        End::Open | End::Closed | End::Broken => {}
    }
    if goes_on {
        expected.push("GET /after");
        answered.push((200, "GET /after".to_owned()));
    }
    let heads: String = String::from_utf8_lossy(&raw).lines().filter(|line| line.starts_with("HTTP/")).collect();
    if requests != expected {
        return Err(format!("the upstream saw {requests:?} instead of {expected:?}; answered: {heads}"));
    }
    let methods: Vec<&str> = answered.iter().map(|(_, about)| about.split(' ').next().unwrap_or_default()).collect();
    let mut got = answers(&raw, &methods).map_err(|fault| format!("what came back is no answer: {fault}: {heads}"))?;
    if entry.end == End::Broken && got.last().is_some_and(|last| last.0 == 400) {
        got.pop();
    }
    // The body tells which request was answered; of a refusal it is our own text.
    let same = |(got, answered): (&(u16, String), &(u16, String))| {
        got.0 == answered.0 && (got.0 != 200 || got.1 == answered.1 || answered.1.starts_with("HEAD "))
    };
    if got.len() != answered.len() || !got.iter().zip(&answered).all(same) {
        return Err(format!("answered {got:?} instead of {answered:?}"));
    }
    Ok(())
}

/// Method and target of a summary.
fn about(request: &str) -> String {
    request.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Every entry of these tables, first on its connection and after another request, whole and in pieces.
pub fn run(tables: impl IntoIterator<Item = Table>) -> usize {
    let world = world();
    let (mut faults, mut count, mut breaks) = (Vec::new(), 0, 0);
    for entry in tables.into_iter().flat_map(|table| table.entries) {
        count += 1;
        breaks += usize::from(entry.end == End::Broken);
        // The first fault of an entry is enough.
        let fault = PIECES.iter().find_map(|piece| {
            let piece = if entry.bytes.len() > LONG { (*piece).max(1024) } else { *piece };
            let fault = |first| check(&world, &entry, first, piece).err();
            let fault = fault(true).or_else(|| fault(false))?;
            let start = String::from_utf8_lossy(&entry.bytes[..entry.bytes.len().min(400)]).into_owned();
            Some(format!("{}: {start:?} in pieces of {piece}: {fault}", entry.family))
        });
        faults.extend(fault);
    }
    world.portcullis.shutdown();
    let left = world.recorder.take();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(left.requests.is_empty() && left.faults.is_empty(), "late: {left:?}");
    // Half of a request is sent on of what breaks while it is sent on, and of nothing else.
    let partial = world.partial.get() + left.partial.len();
    assert!(partial <= breaks * PIECES.len() * 2, "{partial} requests were sent on in part");
    count
}

#[test]
fn f58_lengths_and_codings_that_could_be_read_in_two_ways_frame_nothing() {
    assert!(run([lengths::both(), lengths::codings(), lengths::lengths()]) >= 170);
}

#[test]
fn f58_chunks_that_could_be_read_in_two_ways_end_the_connection() {
    assert!(run([lengths::chunks()]) >= 80);
}

#[test]
fn f08_f58_lines_that_could_be_read_in_two_ways_are_refused() {
    assert!(run([lines::request_lines(), lines::field_lines(), lines::sizes()]) >= 170);
}

#[test]
fn f16_f17_f18_f19_f60_targets_hosts_and_methods_are_what_was_sent_or_refused() {
    assert!(run([targets::targets(), targets::methods(), targets::hosts()]) >= 180);
}

#[test]
fn f05_f58_f59_what_a_request_says_of_its_connection_changes_no_other_request() {
    let tables = [
        exchanges::old(),
        exchanges::connections(),
        exchanges::upgrades(),
        exchanges::expectations(),
        exchanges::pipelines(),
        exchanges::denials(),
    ];
    assert!(run(tables) >= 200);
}
