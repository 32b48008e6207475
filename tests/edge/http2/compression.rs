//! HPACK (RFC 7541), driven byte by byte.

use super::Want::{Connection, Status};
use super::{Case, World, case};
use crate::harness::h2raw::*;

/// A request whose block is this.
fn of(block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
}

/// A request that nothing is wrong with, then this.
fn with(more: &[u8]) -> Vec<u8> {
    of(&[&block(&get("/"))[..], more].concat())
}

fn broken(what: &'static str, bytes: Vec<u8>) -> Case {
    case(what, Connection(COMPRESSION_ERROR), 1, bytes)
}

#[test]
fn an_index_names_a_field_that_is_there() {
    World::start().run(vec![
        broken("6.1: index 0", with(&[0x80])),
        broken("2.3.3: the first index past both tables", with(&integer(0x80, 7, 62))),
        broken("2.3.3: one far past them", with(&integer(0x80, 7, 100_000))),
        broken("2.3.3: a name past them, to be indexed", with(&[integer(0x40, 6, 62), string(b"x")].concat())),
        broken("2.3.3: a name past them, not to be indexed", with(&[integer(0, 4, 62), string(b"x")].concat())),
        broken("2.3.3: a name past them, never to be indexed", with(&[integer(0x10, 4, 70), string(b"x")].concat())),
    ]);
}

#[test]
fn integers_and_strings_end_within_the_block() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    World::start().run(vec![
        broken("5.1: an index that overflows", with(&huge)),
        broken("5.1: an index without end", with(&[0xff; 40])),
        broken("5.1: an index that is cut off", with(&[0xff, 0x80])),
        broken("5.2: a length that overflows", with(&[&[0, 0x7f][..], &[0xff; 10], &[0x7f]].concat())),
        broken("5.2: a name longer than the block", with(&[0, 0x0a, b'x'])),
        broken("5.2: a value longer than the block", with(&[0, 1, b'x', 0x0a, b'y'])),
        broken("5.2: no value", with(&[0, 1, b'x'])),
        broken("5.2: nothing after a literal's first byte", with(&[0x40])),
        broken("5.2: a length of gigabytes", with(&[&[0, 1, b'x'][..], &integer(0, 7, 2 << 30)].concat())),
    ]);
}

#[test]
fn huffman_code_is_padded_with_less_than_a_byte_of_ones() {
    // `a` is 00011 (appendix B).
    let coded = |bytes: &[u8]| with(&[&[0, 1, b'x', 0x80 | bytes.len() as u8], bytes].concat());
    World::start().run(vec![
        broken("5.2: padding of zeros", coded(&[0b0001_1000])),
        broken("5.2: padding of a whole byte", coded(&[0b0001_1111, 0xff])),
        broken("5.2: padding of four bytes", coded(&[0b0001_1111, 0xff, 0xff, 0xff])),
        broken("5.2: the end of strings", coded(&[0xff, 0xff, 0xff, 0xfc])),
        broken("5.2: the end of strings in a string", coded(&[0b0001_1111, 0xff, 0xff, 0xff, 0b1110_0011])),
        case("5.2: padding of ones", Status(200), 1, coded(&[0b0001_1111])),
        case("5.2: an empty string", Status(200), 1, coded(&[])),
    ]);
}

#[test]
fn the_table_changes_its_size_at_the_beginning_and_within_its_bound() {
    let rest = block(&get("/"));
    let after = |update: &[u8]| of(&[update, &rest].concat());
    World::start().run(vec![
        broken("6.3: larger than was offered", after(&integer(0x20, 5, 4097))),
        broken("6.3: much larger", after(&integer(0x20, 5, 1 << 30))),
        broken("4.2: after a field", with(&integer(0x20, 5, 0))),
        case("4.2: at the beginning", Status(200), 1, after(&integer(0x20, 5, 0))),
        case("4.2: as large as was offered", Status(200), 1, after(&integer(0x20, 5, 4096))),
        case(
            "4.2: smallest, then last",
            Status(200),
            1,
            after(&[integer(0x20, 5, 0), integer(0x20, 5, 4096)].concat()),
        ),
    ]);
}

#[test]
fn the_table_keeps_and_forgets() {
    let world = World::start();
    let mut client = world.open();
    let remember = [block(&get("/")), indexed_literal(b"x-kept", b"one"), indexed_literal(b"x-more", b"two")].concat();
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &remember));
    assert_eq!(client.outcome(1), Outcome::Answered(200, "hello".into()));
    // Section 2.3.3: the newest comes first. Section 6.2.1: a name of the table with another value.
    let from_table =
        [block(&get("/")), vec![0xbf, 0x80 | 62], [integer(0x10, 4, 63), string(b"three")].concat()].concat();
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, &from_table));
    assert_eq!(client.outcome(3), Outcome::Answered(200, "hello".into()));
    let seen = world.upstream.last();
    assert_eq!((seen.values("x-kept"), seen.value("x-more")), (vec!["one", "three"], Some("two")));
    // Section 4.4: a field larger than the table empties it.
    let large = [block(&get("/")), indexed_literal(b"x-large", &[b'y'; 4096])].concat();
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, &large));
    assert_eq!(client.outcome(5), Outcome::Answered(200, "hello".into()));
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 7, &[block(&get("/")), vec![0x80 | 62]].concat()));
    assert!(matches!(client.outcome(7), Outcome::GoneAway(COMPRESSION_ERROR | PROTOCOL_ERROR)));
}

#[test]
fn the_table_is_kept_up_by_blocks_of_refused_streams_too() {
    let world = World::start();
    let mut client = world.open();
    // Section 4.3 of RFC 9113: a block of a request that is refused still changes the table.
    let refused = [block(&get("/")), indexed_literal(b"x-kept", b"one"), literal(b"te", b"gzip")].concat();
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &refused));
    assert!(client.lives());
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, &[block(&get("/")), vec![0x80 | 62]].concat()));
    assert_eq!(client.outcome(3), Outcome::Answered(200, "hello".into()));
    assert_eq!(world.upstream.last().value("x-kept"), Some("one"));
}
