use proptest::prelude::*;

use super::corpus::{LIMITS, PASS, REFUSE};
use super::{Fed, Framing, Next};

/// What a whole stream comes to: the bytes that passed, the heads among them, and what it ended with.
fn run(stream: &[u8], cuts: &[usize]) -> (Vec<u8>, u64, Next) {
    let mut framing = Framing::new(LIMITS);
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    let mut next = Next::Read;
    let mut from = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(stream.len());
    for end in ends {
        held.extend_from_slice(&stream[from..end]);
        from = end;
        loop {
            let fed = framing.feed(&held);
            passed.extend(held.drain(..fed.pass));
            next = fed.next;
            if next != Next::Undecided {
                break;
            }
            // In these tests no request for another protocol is granted.
            framing.decide(false);
        }
    }
    (passed, framing.heads(), next)
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let chunks = proptest::collection::vec("[a-z]{1,20}", 0..4).prop_map(|chunks| {
        let mut body: String = chunks.iter().map(|chunk| format!("{:X};x=y\r\n{chunk}\r\n", chunk.len())).collect();
        body.push_str("0\r\nTrailer: a\r\n\r\n");
        format!("POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n{body}")
    });
    let sized = "[ -~]{0,40}"
        .prop_map(|body| format!("POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let upgrade = Just("GET /u HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n".to_owned());
    let plain = proptest::sample::select(PASS).prop_map(str::to_owned);
    let refused = proptest::sample::select(REFUSE).prop_map(|(head, _)| head.to_owned());
    prop_oneof![3 => chunks, 3 => sized, 1 => upgrade, 4 => plain, 1 => refused].prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn however_a_stream_is_split_it_comes_to_the_same(
        messages in proptest::collection::vec(message(), 1..5),
        noise in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        cuts in proptest::collection::vec(any::<usize>(), 0..40),
    ) {
        let mut stream = messages.concat();
        if let Some((at, byte)) = noise {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        prop_assert_eq!(run(&stream, &cuts), run(&stream, &[]));
        let every: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(run(&stream, &every), run(&stream, &[]));
    }

    #[test]
    fn any_bytes_at_all_do_no_harm(stream in proptest::collection::vec(any::<u8>(), 0..600), cuts in proptest::collection::vec(any::<usize>(), 0..10)) {
        prop_assert_eq!(run(&stream, &cuts), run(&stream, &[]));
    }

    #[test]
    fn what_passes_is_a_head_of_the_same_length_to_another_parser(
        mut head in message(),
        noise in proptest::collection::vec((any::<prop::sample::Index>(), proptest::sample::select(&b"\r\n :\t\0#,aA5\x80"[..])), 0..3),
    ) {
        for (at, byte) in noise {
            let at = at.index(head.len());
            head[at] = byte;
        }
        let mut framing = Framing::new(LIMITS);
        framing.feed(&head);
        if framing.heads() > 0 {
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let mut request = httparse::Request::new(&mut fields);
            let length = request.parse(&head).expect("the guard is the stricter one").unwrap();
            let mut alone = Framing::new(LIMITS);
            let fed = alone.feed(&head[..length]);
            prop_assert_eq!((fed.pass, alone.heads()), (length, 1));
            let mut short = Framing::new(LIMITS);
            short.feed(&head[..length - 1]);
            prop_assert_eq!(short.heads(), 0);
        }
    }
}

#[test]
fn bodies_are_told_from_heads() {
    let smuggled = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    let stream = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len());
    assert_eq!(run(stream.as_bytes(), &[]), (stream.clone().into_bytes(), 1, Next::Read));
    let two = format!("{stream}{smuggled}");
    assert_eq!(run(two.as_bytes(), &[]).1, 2);
    let chunked = format!(
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n{smuggled}",
        smuggled.len()
    );
    assert_eq!(run(chunked.as_bytes(), &[]), (chunked.clone().into_bytes(), 2, Next::Read));
}

#[test]
fn f58_chunks_that_two_parsers_could_read_differently_break_the_body() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for bad in [
        "\r\n",
        "x\r\n",
        ";a\r\n",
        " 5\r\n",
        "5 \r\n",
        "5\n",
        "5\r",
        "+5\r\n",
        "-5\r\n",
        "0x5\r\n",
        "5_0\r\n",
        "5;a\nb\r\n",
        "5;\0\r\n",
        "5\r\nabcdeX",
        "5\r\nabcde\n",
        "5\r\nabcde\rX",
        "5\r\nabcde0\r\n\r\n",
        "00000000000000001\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "0\r\n\n",
        "0\r\n: x\r\n\r\n",
        "0\r\nA : x\r\n\r\n",
        "0\r\n A: x\r\n\r\n",
        "0\r\nA: x\r\n y\r\n\r\n",
        "0\r\nA: x\ny: z\r\n\r\n",
        "0\r\nA: \0\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\n\rX",
    ] {
        let stream = format!("{head}{bad}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let (_, heads, next) = run(stream.as_bytes(), &[]);
        assert_eq!((heads, next), (1, Next::Broken), "{bad:?}");
    }
}

#[test]
fn f61_chunk_extensions_and_trailers_end() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let many_extensions = "1;abcdefghijklmnopqrstuvwxyz\r\na\r\n".repeat(LIMITS.max_head_bytes);
    let many_trailers = format!("0\r\n{}", "A: b\r\n".repeat(LIMITS.max_head_bytes));
    for endless in [format!("1;{}", "a".repeat(LIMITS.max_head_bytes + 1)), many_extensions, many_trailers] {
        assert_eq!(run(format!("{head}{endless}").as_bytes(), &[]).2, Next::Broken);
    }
}

#[test]
fn f59_what_follows_a_request_for_another_protocol_waits_for_the_answer() {
    let upgrade = "GET /u HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    let smuggled = "GET /b#c HTTP/1.1\r\nHost: a\r\n\r\n";
    let stream = format!("{upgrade}{smuggled}");

    let mut refused = Framing::new(LIMITS);
    assert_eq!(refused.feed(stream.as_bytes()), Fed { pass: upgrade.len(), next: Next::Undecided });
    assert_eq!(refused.feed(smuggled.as_bytes()), Fed { pass: 0, next: Next::Undecided });
    refused.decide(false);
    let fragment = Next::Refuse(crate::model::denial::Reason::Fragment);
    assert_eq!(refused.feed(smuggled.as_bytes()), Fed { pass: 0, next: fragment });

    let mut granted = Framing::new(LIMITS);
    granted.feed(stream.as_bytes());
    granted.decide(true);
    assert_eq!(granted.feed(smuggled.as_bytes()), Fed { pass: smuggled.len(), next: Next::Opaque });
    assert_eq!(granted.feed(b"\x81\x00#\n"), Fed { pass: 4, next: Next::Opaque });
}

#[test]
fn a_body_goes_before_another_protocol() {
    let stream = "POST /u HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabcXYZ";
    let mut framing = Framing::new(LIMITS);
    assert_eq!(framing.feed(stream.as_bytes()), Fed { pass: stream.len() - 3, next: Next::Undecided });
}

#[test]
fn http_1_0_asks_for_no_other_protocol() {
    let stream = "GET /u HTTP/1.0\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(Framing::new(LIMITS).feed(stream.as_bytes()).next, Next::Read);
}
