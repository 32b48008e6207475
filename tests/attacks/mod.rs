//! Attacks in small: each ends for who attacks, and goes unnoticed by everybody else. `benches/attacks` has them in large.

use std::net::{SocketAddr, TcpListener};

use crate::harness::h2raw::*;
use crate::harness::portcullis::{Portcullis, Setup};
use crate::harness::streams::Streams;
use crate::harness::upstream::Upstream;

fn route(upstream: &str) -> String {
    format!("[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"{upstream}\"\n")
}

/// Before an upstream that answers `hello`.
fn world() -> (Upstream, Portcullis) {
    let upstream = Upstream::start();
    let portcullis = Portcullis::start(&route(&upstream.url()));
    (upstream, portcullis)
}

#[track_caller]
fn others_are_served(at: SocketAddr) {
    let mut client = H2::open(at);
    client.ask(1, &get("/witness"));
    assert_eq!(client.outcome(1), Outcome::Answered(200, "hello".into()));
}

/// Sends what `more` makes of 0, 1, 2, … until the other side ends the connection, which it does before `most` of it.
#[track_caller]
fn ends_before(client: &mut H2, most: u32, more: impl Fn(u32) -> Vec<u8>) -> Option<u32> {
    let taken = (0..most).take_while(|n| client.try_send(more(*n))).count();
    let code = client.end();
    assert!(
        code.is_some_and(|code| code != 0) || taken < most as usize,
        "all of it was taken, and it ended with {code:?}"
    );
    code
}

#[test]
fn f56_rapid_reset_ends_the_connection() {
    let (upstream, portcullis) = world();
    let mut client = H2::open(portcullis.address());
    let request = block(&get("/reset"));
    let code = ends_before(&mut client, 20_000, |n| {
        let stream = 2 * n + 1;
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, &request), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])]
            .concat()
    });
    assert_eq!(code, Some(ENHANCE_YOUR_CALM));
    others_are_served(portcullis.address());
    let through = upstream.received().iter().filter(|request| request.target() == "/reset").count();
    assert!(through < 1000, "{through} of them were worth a request to the upstream");
}

#[test]
fn f56_fields_without_end_end_the_connection() {
    let (upstream, portcullis) = world();
    for payload in [literal(b"x-flood", &[b'y'; 1000]), Vec::new(), vec![0x82; 100]] {
        let mut client = H2::open(portcullis.address());
        client.send(frame(HEADERS, 0, 1, &block(&get("/flood"))));
        ends_before(&mut client, 50_000, |_| frame(CONTINUATION, 0, 1, &payload));
        others_are_served(portcullis.address());
    }
    assert!(upstream.received().iter().all(|request| request.target() == "/witness"));
}

#[test]
fn f57_a_list_that_is_small_in_its_frame_and_large_in_memory_is_refused() {
    let (upstream, portcullis) = world();
    for (field, copies) in [
        (indexed_literal(b"x-bomb", &[b'y'; 4000]), 4000),
        // Sixteen kilobytes, counted as RFC 9113, section 6.5.2 counts.
        (indexed_literal(b"x-bomb", &[b'y'; 4000]), 5),
        (indexed_literal(b"cookie", b""), 16_000),
        (indexed_literal(b"cookie", b"a=b"), 101),
        (indexed_literal(b"a", b""), 101),
    ] {
        // Settings that were never acknowledged hold all the same.
        let mut client = H2::open(portcullis.address());
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &[block(&get("/first")), field].concat()));
        client.outcome(1);
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, &[block(&get("/bomb")), vec![0xbe; copies]].concat()));
        let outcome = client.outcome(3);
        assert!(
            matches!(outcome, Outcome::Answered(431, _) | Outcome::Reset(_) | Outcome::GoneAway(_) | Outcome::Closed),
            "{copies}: {outcome:?}"
        );
        others_are_served(portcullis.address());
    }
    assert!(upstream.received().iter().all(|request| request.target() != "/bomb"));
}

#[test]
fn f57_streams_whose_answers_nobody_takes_are_reset() {
    let streams = Streams::start();
    let portcullis = Setup::new().start_with("listener.main.timeouts.send = \"200ms\"", &route(&streams.url()));
    let mut client = H2::silent(portcullis.address());
    // A byte for each stream, and as much as it likes for the connection: it reads, and answers to pings.
    client.begin(&setting(4, 1));
    client.ask(1, &get("/flood/1"));
    client.ask(3, &get("/silent"));
    let reset = client.wait_for(RST_STREAM, |_| true);
    assert_eq!(reset.stream, 1, "not the one whose upstream says nothing");
    streams.wait_for_end("/flood/1");
    assert!(client.lives(), "it costs the one stream only");
}

#[test]
fn f57_an_answer_in_one_piece_waits_no_longer_than_one_in_many() {
    let upstream = Upstream::start();
    let portcullis = Setup::new().start_with("listener.main.timeouts.send = \"200ms\"", &route(&upstream.url()));
    let mut client = H2::silent(portcullis.address());
    client.begin(&setting(4, 0));
    client.ask(1, &get("/"));
    assert_eq!(client.wait_for(RST_STREAM, |_| true).stream, 1);
    assert!(client.lives(), "it costs the one stream only");
}

#[test]
fn f57_who_takes_nothing_at_all_loses_the_connection() {
    let streams = Streams::start();
    let portcullis = Setup::new().start_with("listener.main.timeouts.send = \"200ms\"", &route(&streams.url()));
    let mut second = H2::silent(portcullis.address());
    second.begin(&setting(4, 0x7fff_ffff));
    second.send(frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    second.ask(1, &get("/flood/2"));
    let mut first = H2::silent(portcullis.address());
    first.send(b"GET /flood/1 HTTP/1.1\r\nHost: a.example\r\n\r\n");
    streams.wait_for_end("/flood/1");
    streams.wait_for_end("/flood/2");
    drop((first, second));
}

#[test]
fn f57_empty_and_tiny_pieces_of_a_body_end_the_connection() {
    // Takes connections and reads nothing: what is sent has to be kept.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", deaf.local_addr().expect("an address"));
    let portcullis = Portcullis::start(&route(&url));
    for piece in [&b""[..], b"x"] {
        let mut client = H2::open(portcullis.address());
        client.head(1, &request(b"POST", "/body"));
        let many = frame(DATA, 0, 1, piece).repeat(100);
        let code = ends_before(&mut client, 20_000, |_| many.clone());
        assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
    }
    drop(deaf);
}

#[test]
fn f56_frames_that_ask_for_an_answer_are_not_collected() {
    let (_upstream, portcullis) = world();
    for one in [
        frame(PING, 0, 0, &[7; 8]),
        frame(SETTINGS, 0, 0, &setting(4, 65_535)),
        frame(PRIORITY, 0, 9, &[0, 0, 0, 3, 1]),
    ] {
        let mut client = H2::open(portcullis.address());
        let _ = client.socket().set_write_timeout(Some(std::time::Duration::from_millis(300)));
        // Nothing of what it answers is read. Either it ends, or it takes no more: then no more is kept either.
        let many = one.repeat(1000);
        let _taken = (0..2000).take_while(|_| client.try_send(&many)).count();
        others_are_served(portcullis.address());
    }
}
