//! The beginning of a connection, and its settings (RFC 9113, sections 3.4 and 6.5).

use super::Want::{Connection, Nothing, Status};
use super::{World, case};
use crate::harness::h2raw::*;

#[test]
fn settings_come_first_and_are_acknowledged() {
    let world = World::start();
    let mut client = world.open();
    let first = client.next().expect("a frame");
    assert_eq!((first.kind, first.flags & ACK, first.stream), (SETTINGS, 0, 0), "section 3.4");
    let mut acknowledged = client.wait_for(SETTINGS, |frame| frame.flags & ACK != 0);
    assert!(acknowledged.payload.is_empty(), "section 6.5.3");
    client.send(frame(SETTINGS, 0, 0, &setting(4, 100)));
    acknowledged = client.wait_for(SETTINGS, |frame| frame.flags & ACK != 0);
    assert!(acknowledged.payload.is_empty());
    let ids: Vec<_> = first.payload.chunks(6).map(|one| u16::from_be_bytes([one[0], one[1]])).collect();
    assert!(ids.contains(&3) && ids.contains(&6), "streams and lists are limited from the beginning: {ids:?}");
}

#[test]
fn a_preface_that_is_none_is_not_spoken_to() {
    let world = World::start();
    for bad in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"[..],
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = H2::silent(world.portcullis.address());
        client.send(bad);
        client.send(frame(SETTINGS, 0, 0, &[]));
        client.ask(1, &get("/smuggled"));
        assert_eq!(world.after(0).len(), 0, "{}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn settings_out_of_range_end_the_connection() {
    World::start().run(vec![
        case("6.5: ACK with a payload", Connection(FRAME_SIZE_ERROR), 0, frame(SETTINGS, ACK, 0, &setting(4, 1))),
        case("6.5: on a stream", Connection(PROTOCOL_ERROR), 0, frame(SETTINGS, 0, 1, &setting(4, 1))),
        case("6.5: five bytes", Connection(FRAME_SIZE_ERROR), 0, frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0])),
        case("6.5: seven bytes", Connection(FRAME_SIZE_ERROR), 0, frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0, 0])),
        case("6.5.2: ENABLE_PUSH 2", Connection(PROTOCOL_ERROR), 0, frame(SETTINGS, 0, 0, &setting(2, 2))),
        case("6.5.2: window of 2^31", Connection(FLOW_CONTROL_ERROR), 0, frame(SETTINGS, 0, 0, &setting(4, 1 << 31))),
        case("6.5.2: frames of 16383", Connection(PROTOCOL_ERROR), 0, frame(SETTINGS, 0, 0, &setting(5, 16_383))),
        case("6.5.2: frames of 2^24", Connection(PROTOCOL_ERROR), 0, frame(SETTINGS, 0, 0, &setting(5, 1 << 24))),
        case(
            "RFC 8441, 3: ENABLE_CONNECT_PROTOCOL 2",
            Connection(PROTOCOL_ERROR),
            0,
            frame(SETTINGS, 0, 0, &setting(8, 2)),
        ),
        case(
            "6.9.2: a stream's window past 2^31-1",
            Connection(FLOW_CONTROL_ERROR),
            1,
            [
                frame(HEADERS, END_HEADERS, 1, &block(&request(b"POST", "/never-ended"))),
                frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()),
                frame(SETTINGS, 0, 0, &setting(4, 0x7fff_ffff)),
            ]
            .concat(),
        ),
    ]);
}

#[test]
fn settings_that_mean_nothing_are_ignored() {
    let world = World::start();
    world.run(vec![
        case("6.5.2: unknown ones", Nothing, 0, frame(SETTINGS, 0, 0, &[setting(0xfafa, 7), setting(0, 9)].concat())),
        case(
            "6.5.2: the bounds",
            Nothing,
            0,
            frame(SETTINGS, 0, 0, &[setting(4, 0x7fff_ffff), setting(5, 0xff_ffff)].concat()),
        ),
        case("6.5: none", Nothing, 0, frame(SETTINGS, 0, 0, &[])),
        case(
            "6.5.3: the last of several counts, one after the other",
            Status(200),
            1,
            [
                frame(SETTINGS, 0, 0, &[setting(4, 0), setting(4, 100)].concat()),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&get("/"))),
            ]
            .concat(),
        ),
    ]);
}
