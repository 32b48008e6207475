//! Attacks that HTTP/1.1 is enough for.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::World;

/// Connections that are fed a little, round after round; those that end are replaced.
fn drip(world: &World, count: usize, first: &[u8], pause: Duration, step: impl Fn(&mut TcpStream, usize) -> bool) {
    let open = || {
        let mut stream = TcpStream::connect(world.process.clear).ok()?;
        stream.write_all(first).ok()?;
        stream.set_nonblocking(true).ok()?;
        world.opened.fetch_add(1, Relaxed);
        Some(stream)
    };
    let mut streams: Vec<Option<TcpStream>> = (0..count).map(|_| if world.goes_on() { open() } else { None }).collect();
    let mut round = 0;
    while world.goes_on() {
        for place in &mut streams {
            let lives = place.as_mut().is_some_and(|stream| step(stream, round));
            if !lives && world.goes_on() {
                if place.is_some() {
                    world.ended.fetch_add(1, Relaxed);
                }
                *place = open();
            }
        }
        round += 1;
        std::thread::sleep(pause);
    }
}

/// Whether the other side has closed, as far as reading tells.
fn has_ended(stream: &mut TcpStream, most: usize) -> bool {
    let mut bytes = [0; 16];
    match stream.read(&mut bytes[..most]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

pub(crate) fn slowloris(world: &World) {
    let head = b"GET /small HTTP/1.1\r\nHost: a.example\r\nX-Long: ";
    drip(world, 1000, b"G", Duration::from_millis(50), |stream, round| {
        let byte = head.get(1 + round % head.len()).copied().unwrap_or(b'x');
        stream.write_all(&[byte]).is_ok() && !has_ended(stream, 16)
    });
}

pub(crate) fn slow_read(world: &World) {
    let first = b"GET /large HTTP/1.1\r\nHost: a.example\r\n\r\n";
    drip(world, 200, first, Duration::from_secs(1), |stream, _| !has_ended(stream, 10));
}

pub(crate) fn slow_body(world: &World) {
    let first = b"POST /small HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n";
    drip(world, 500, first, Duration::from_secs(1), |stream, _| {
        stream.write_all(b"x").is_ok() && !has_ended(stream, 16)
    });
}

pub(crate) fn silent_upstream(world: &World) {
    let first = b"GET /silent HTTP/1.1\r\nHost: a.example\r\n\r\n";
    drip(world, 500, first, Duration::from_millis(200), |stream, _| !has_ended(stream, 16));
}

pub(crate) fn vanish(world: &World) {
    let head = b"POST /small HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n";
    let bytes = [&head[..], &[b'x'; 64 * 1024]].concat();
    while world.goes_on() {
        if let Ok(mut stream) = TcpStream::connect(world.process.clear) {
            world.opened.fetch_add(1, Relaxed);
            let _ = stream.write_all(&bytes);
        }
    }
}

pub(crate) fn garbage_upstream(world: &World) {
    while world.goes_on() {
        if let Ok(mut stream) = TcpStream::connect(world.process.clear) {
            world.opened.fetch_add(1, Relaxed);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
            let _ = stream.write_all(b"GET /garbage HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}
