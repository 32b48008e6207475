//! Frames on their own: sizes, padding, and where they may stand (RFC 9113, sections 4 to 6).

use super::Want::{Connection, Nothing, Status, Stream};
use super::{World, case};
use crate::harness::h2raw::*;

fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&request(b"POST", "/never-ended")))
}

fn whole(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&get("/")))
}

/// A frame behind a request that waits for more.
fn within(bytes: Vec<u8>) -> Vec<u8> {
    [open(1), bytes].concat()
}

#[test]
fn sizes_are_what_they_have_to_be() {
    let large = vec![0; 16_385];
    World::start().run(vec![
        case("4.2: DATA beyond the limit", Stream(FRAME_SIZE_ERROR), 1, within(frame(DATA, 0, 1, &large))),
        case("4.2: HEADERS beyond the limit", Connection(FRAME_SIZE_ERROR), 1, frame(HEADERS, END_HEADERS, 1, &large)),
        case("4.2: an unknown frame beyond the limit", Connection(FRAME_SIZE_ERROR), 1, frame(0xfa, 0, 0, &large)),
        case("6.3: PRIORITY of four bytes", Stream(FRAME_SIZE_ERROR), 1, within(frame(PRIORITY, 0, 1, &[0; 4]))),
        case(
            "6.4: RST_STREAM of three bytes",
            Connection(FRAME_SIZE_ERROR),
            1,
            within(frame(RST_STREAM, 0, 1, &[0; 3])),
        ),
        case(
            "6.4: RST_STREAM of five bytes",
            Connection(FRAME_SIZE_ERROR),
            1,
            within(frame(RST_STREAM, 0, 1, &[0; 5])),
        ),
        case("6.7: PING of seven bytes", Connection(FRAME_SIZE_ERROR), 0, frame(PING, 0, 0, &[0; 7])),
        case("6.7: PING of nine bytes", Connection(FRAME_SIZE_ERROR), 0, frame(PING, 0, 0, &[0; 9])),
        case("6.8: GOAWAY of seven bytes", Connection(FRAME_SIZE_ERROR), 0, frame(GOAWAY, 0, 0, &[0; 7])),
        case("6.9: WINDOW_UPDATE of three bytes", Connection(FRAME_SIZE_ERROR), 0, frame(WINDOW_UPDATE, 0, 0, &[0; 3])),
        case(
            "6.9: WINDOW_UPDATE of five bytes",
            Connection(FRAME_SIZE_ERROR),
            1,
            within(frame(WINDOW_UPDATE, 0, 1, &[1; 5])),
        ),
        case(
            "6.2: HEADERS with less than its priority",
            Connection(FRAME_SIZE_ERROR),
            1,
            frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, &[0; 4]),
        ),
    ]);
}

#[test]
fn padding_fits_into_its_frame() {
    let block = block(&get("/"));
    let padded = |length: u8, padding: usize| [vec![length], block.clone(), vec![0; padding]].concat();
    World::start().run(vec![
        case(
            "6.1: DATA padded past its end",
            Connection(PROTOCOL_ERROR),
            1,
            within(frame(DATA, PADDED, 1, &[5, 1, 2])),
        ),
        case("6.1: DATA padded by all of it", Connection(PROTOCOL_ERROR), 1, within(frame(DATA, PADDED, 1, &[2, 1]))),
        case("6.1: DATA padded, empty", Connection(PROTOCOL_ERROR), 1, within(frame(DATA, PADDED, 1, &[]))),
        case(
            "6.2: HEADERS padded past its end",
            Connection(PROTOCOL_ERROR),
            1,
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &[9, 0x82]),
        ),
        case(
            "6.2: HEADERS padded",
            Status(200),
            1,
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &padded(7, 7)),
        ),
        case(
            "6.2: HEADERS padded by none",
            Status(200),
            1,
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &padded(0, 0)),
        ),
        case("6.1: DATA padded", Status(200), 1, within(frame(DATA, PADDED | END_STREAM, 1, &[2, b'x', 0, 0]))),
        case("6.1: DATA of padding alone", Status(200), 1, within(frame(DATA, PADDED | END_STREAM, 1, &[3, 0, 0, 0]))),
    ]);
}

#[test]
fn frames_stand_where_they_belong() {
    World::start().run(vec![
        case("6.1: DATA on stream 0", Connection(PROTOCOL_ERROR), 0, frame(DATA, 0, 0, b"x")),
        case(
            "6.2: HEADERS on stream 0",
            Connection(PROTOCOL_ERROR),
            0,
            frame(HEADERS, END_HEADERS, 0, &block(&get("/"))),
        ),
        case("6.3: PRIORITY on stream 0", Connection(PROTOCOL_ERROR), 0, frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 1])),
        case("6.4: RST_STREAM on stream 0", Connection(PROTOCOL_ERROR), 0, frame(RST_STREAM, 0, 0, &[0; 4])),
        case(
            "6.6: PUSH_PROMISE of a client",
            Connection(PROTOCOL_ERROR),
            1,
            within(frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
        ),
        case("6.7: PING on a stream", Connection(PROTOCOL_ERROR), 0, frame(PING, 0, 1, &[0; 8])),
        case("6.8: GOAWAY on a stream", Connection(PROTOCOL_ERROR), 0, frame(GOAWAY, 0, 1, &[0; 8])),
        case("6.10: CONTINUATION on stream 0", Connection(PROTOCOL_ERROR), 0, frame(CONTINUATION, END_HEADERS, 0, &[])),
    ]);
}

#[test]
fn what_is_unknown_is_ignored() {
    World::start().run(vec![
        case("4.1: unknown types", Nothing, 0, [frame(0xfa, 0xff, 0, b"grease"), frame(0x16, 0, 3, b"")].concat()),
        case(
            "5.5: an unknown frame on an open stream",
            Status(200),
            1,
            [open(1), frame(0xfb, 1, 1, b"?"), frame(DATA, END_STREAM, 1, b"")].concat(),
        ),
        case(
            "4.1: undefined flags",
            Status(200),
            1,
            frame(HEADERS, END_HEADERS | END_STREAM | 0xd2 & !PADDED & !WITH_PRIORITY, 1, &block(&get("/"))),
        ),
        case("4.1: the reserved bit", Status(200), 1, {
            let mut bytes = whole(1);
            bytes[5] |= 0x80;
            bytes
        }),
        case(
            "5.3.2: PRIORITY on an idle stream",
            Status(200),
            1,
            [frame(PRIORITY, 0, 9, &[0, 0, 0, 3, 7]), whole(1)].concat(),
        ),
        case("6.7: the answer to no PING", Nothing, 0, frame(PING, ACK, 0, &[7; 8])),
    ]);
}

#[test]
fn a_ping_is_answered_with_its_own_bytes_and_an_answer_is_not() {
    let world = World::start();
    let mut client = world.open();
    client.send([frame(PING, ACK, 0, b"answered"), frame(PING, 0, 0, b"12345678")].concat());
    let answer = client.wait_for(PING, |_| true);
    assert_eq!((answer.flags & ACK, &*answer.payload), (ACK, &b"12345678"[..]), "section 6.7");
}

#[test]
fn a_block_of_fields_is_not_interrupted() {
    let block = block(&get("/"));
    let (front, back) = block.split_at(20);
    let begin = frame(HEADERS, END_STREAM, 1, front);
    let broken = |between: Vec<u8>| [begin.clone(), between, frame(CONTINUATION, END_HEADERS, 1, back)].concat();
    let code = Connection(PROTOCOL_ERROR);
    World::start().run(vec![
        case("6.10: whole", Status(200), 1, broken(Vec::new())),
        case("6.10: in three", Status(200), 1, broken(frame(CONTINUATION, 0, 1, &[]))),
        case("6.10: DATA between", code, 1, broken(frame(DATA, 0, 1, b"x"))),
        case("6.10: PING between", code, 1, broken(frame(PING, 0, 0, &[0; 8]))),
        case("6.10: SETTINGS between", code, 1, broken(frame(SETTINGS, 0, 0, &[]))),
        case("6.10: PRIORITY between", code, 1, broken(frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]))),
        case("6.10: HEADERS between", code, 1, broken(frame(HEADERS, END_HEADERS, 3, &block))),
        case("6.10: CONTINUATION of another stream", code, 1, broken(frame(CONTINUATION, 0, 3, &[]))),
        case("5.5: an unknown frame between", code, 1, broken(frame(0xfa, 0, 1, b"x"))),
        case(
            "6.10: CONTINUATION after the end",
            code,
            1,
            [open(1), frame(CONTINUATION, END_HEADERS, 1, back)].concat(),
        ),
        case("6.10: CONTINUATION of nothing", code, 1, frame(CONTINUATION, END_HEADERS, 1, &block)),
    ]);
}
