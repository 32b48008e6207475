//! States of streams (RFC 9113, sections 5.1 and 5.3).

use super::Want::{Connection, Nothing, Status, Stream};
use super::{World, case};
use crate::harness::h2raw::*;
use crate::harness::portcullis::Setup;
use crate::harness::upstream::Upstream;

fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&request(b"POST", "/never-ended")))
}

fn whole(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&get("/")))
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

#[test]
fn an_idle_stream_takes_headers_and_priority_only() {
    let code = Connection(PROTOCOL_ERROR);
    World::start().run(vec![
        case("5.1: DATA", code, 1, frame(DATA, END_STREAM, 1, b"x")),
        case("5.1, 6.4: RST_STREAM", code, 1, reset(1)),
        case("5.1: WINDOW_UPDATE", code, 1, frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        case("5.1: CONTINUATION", code, 1, frame(CONTINUATION, END_HEADERS, 1, &block(&get("/")))),
        case("5.1: RST_STREAM of one that is ours to open", code, 2, reset(2)),
        case("5.1: WINDOW_UPDATE of one that is ours to open", code, 2, frame(WINDOW_UPDATE, 0, 2, &[0, 0, 0, 1])),
    ]);
}

#[test]
fn numbers_are_odd_and_grow() {
    let code = Connection(PROTOCOL_ERROR);
    World::start().run(vec![
        case("5.1.1: an even one", code, 2, whole(2)),
        case("5.1.1: a lower one that was never used", code, 3, [whole(5), whole(3)].concat()).refused_in_part(),
        case("5.1.1: any larger one", Status(200), 2_147_483_647, whole(2_147_483_647)),
    ]);
}

#[test]
fn what_is_over_takes_no_more() {
    let code = Stream(STREAM_CLOSED);
    World::start().run(vec![
        case("5.1: DATA after END_STREAM", code, 1, [whole(1), frame(DATA, END_STREAM, 1, b"x")].concat())
            .refused_in_part(),
        case("5.1: HEADERS after END_STREAM", code, 1, [whole(1), whole(1)].concat()).refused_in_part(),
        case("5.1: DATA after RST_STREAM", code, 1, [open(1), reset(1), frame(DATA, END_STREAM, 1, b"x")].concat())
            .refused_in_part(),
        case("5.1: HEADERS after RST_STREAM", code, 1, [open(1), reset(1), whole(1)].concat()).refused_in_part(),
    ]);
    World::start().run(vec![
        case(
            "5.1: WINDOW_UPDATE after the end",
            Nothing,
            1,
            [open(1), reset(1), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])].concat(),
        )
        .refused_in_part(),
        case("5.1: RST_STREAM after RST_STREAM", Nothing, 1, [open(1), reset(1), reset(1)].concat()).refused_in_part(),
        case(
            "5.1: PRIORITY after the end",
            Nothing,
            1,
            [open(1), reset(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])].concat(),
        )
        .refused_in_part(),
    ]);
}

#[test]
fn f58_a_request_that_is_taken_back_is_not_whole_whatever_the_code() {
    let taken_back =
        |code: u32| [open(1), frame(DATA, 0, 1, b"half"), frame(RST_STREAM, 0, 1, &code.to_be_bytes())].concat();
    World::start().run(vec![
        case("8.1: with NO_ERROR", Nothing, 1, taken_back(0)),
        case("8.1: with CANCEL", Nothing, 1, taken_back(8)),
    ]);
}

#[test]
fn a_stream_does_not_depend_on_itself() {
    let on_itself = [[0, 0, 0, 1, 9].to_vec(), block(&get("/"))].concat();
    World::start().run(vec![
        case(
            "RFC 7540, 5.3.1: HEADERS",
            Stream(PROTOCOL_ERROR),
            1,
            frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, &on_itself),
        ),
        case(
            "RFC 7540, 5.3.1: PRIORITY",
            Stream(PROTOCOL_ERROR),
            1,
            [open(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 9])].concat(),
        ),
    ]);
}

#[test]
fn more_streams_than_were_offered_are_refused() {
    // Answers nothing, so that all streams stay open.
    let upstream = Upstream::answering(|_| {
        loop {
            std::thread::park();
        }
    });
    let route =
        format!("[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"{}\"\n", upstream.url());
    let portcullis = Setup::new().start_with("listener.main.max_streams = 5", &route);
    let mut client = H2::open(portcullis.address());
    let offered = client.wait_for(SETTINGS, |frame| frame.flags & ACK == 0);
    let at = offered.payload.chunks(6).find(|one| one[..2] == [0, 3]).expect("MAX_CONCURRENT_STREAMS");
    let most = u32::from_be_bytes(at[2..6].try_into().expect("four bytes"));
    assert_eq!(most, 5);
    client.send(frame(SETTINGS, ACK, 0, &[]));
    for stream in 0..=most {
        client.ask(1 + 2 * stream, &get("/waits"));
    }
    let refused = client.wait_for(RST_STREAM, |_| true);
    assert_eq!((refused.stream, refused.number(0)), (1 + 2 * most, REFUSED_STREAM), "section 5.1.2");
    assert!(client.lives());
}
