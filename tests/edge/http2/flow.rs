//! Flow control (RFC 9113, sections 5.2 and 6.9).

use std::net::TcpListener;

use super::Want::{Connection, Stream};
use super::{World, case};
use crate::harness::h2raw::*;
use crate::harness::portcullis::Portcullis;

fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&request(b"POST", "/never-ended")))
}

#[test]
fn windows_are_opened_by_something_and_not_past_their_end() {
    let update = |stream: u32, by: u32| frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    World::start().run(vec![
        case("6.9: nothing, of the connection", Connection(PROTOCOL_ERROR), 0, update(0, 0)),
        case("6.9: nothing, of a stream", Stream(PROTOCOL_ERROR), 1, [open(1), update(1, 0)].concat()),
        case("6.9.1: the connection's past 2^31-1", Connection(FLOW_CONTROL_ERROR), 0, update(0, 0x7fff_ffff)),
        case(
            "6.9.1: a stream's past 2^31-1",
            Stream(FLOW_CONTROL_ERROR),
            1,
            [open(1), update(1, 0x7fff_ffff)].concat(),
        ),
    ]);
}

#[test]
fn no_more_is_sent_than_the_client_takes() {
    let world = World::start();
    let mut client = H2::silent(world.portcullis.address());
    client.begin(&setting(4, 3));
    client.ask(1, &get("/"));
    let first = client.wait_for(DATA, |frame| !frame.payload.is_empty());
    assert_eq!(first.payload, b"hel", "section 6.9");
    assert!(client.lives(), "and then it waits");
    // Section 6.9.2: a window that becomes negative, and is opened again.
    client.send(frame(SETTINGS, 0, 0, &setting(4, 0)));
    client.send(frame(WINDOW_UPDATE, 0, 1, &3_u32.to_be_bytes()));
    assert!(client.lives());
    client.send(frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()));
    let second = client.wait_for(DATA, |frame| !frame.payload.is_empty());
    assert_eq!(second.payload, b"l");
    client.send(frame(SETTINGS, 0, 0, &setting(4, 4)));
    let third = client.wait_for(DATA, |frame| !frame.payload.is_empty());
    assert_eq!(third.payload, b"o");
}

#[test]
fn who_sends_more_than_is_taken_is_refused() {
    // Takes connections and reads nothing.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", deaf.local_addr().expect("an address"));
    let portcullis =
        Portcullis::start(&format!("[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"{url}\"\n"));
    let mut client = H2::open(portcullis.address());
    client.send(open(1));
    let chunk = frame(DATA, 0, 1, &[b'x'; 16_384]);
    // What sockets hold in between is a few megabytes.
    let mut sent = 0;
    while sent < 16 << 20 && client.try_send(&chunk) {
        sent += chunk.len();
    }
    match client.outcome(1) {
        Outcome::Reset(code) | Outcome::GoneAway(code) => assert_eq!(code, FLOW_CONTROL_ERROR, "section 6.9.1"),
        other => panic!("{other:?} after {sent} bytes"),
    }
    drop(deaf);
}
