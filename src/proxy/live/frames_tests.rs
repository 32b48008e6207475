use proptest::prelude::*;

use super::*;

/// A frame as bytes; lengths are written in the given form, or the shortest.
fn frame(opcode: u8, masked: bool, form: usize, payload: &[u8]) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut bytes = vec![0x80 | opcode];
    match (payload.len(), form) {
        (length @ 0..126, 0) => bytes.push(mask | length as u8),
        (length @ 0..=0xffff, 0 | 1) => {
            bytes.push(mask | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        (length, _) => {
            bytes.push(mask | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if masked {
        bytes.extend_from_slice(b"mask");
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn after(bytes: &[u8]) -> Frames {
    let mut frames = Frames::new();
    frames.feed(bytes);
    frames
}

#[test]
fn only_the_end_of_a_frame_is_one_however_it_is_cut() {
    for (length, form) in [(0, 0), (1, 0), (125, 0), (126, 0), (3, 1), (300, 1), (5, 2), (66_000, 2)] {
        for masked in [false, true] {
            let bytes = frame(2, masked, form, &vec![0x81; length]);
            let samples = (1..bytes.len()).filter(|at| *at < 400 || at % 997 == 0 || bytes.len() - at < 20);
            for at in samples {
                let (head, tail) = bytes.split_at(at);
                let mut frames = after(head);
                let left = frames.left().expect("a frame");
                assert!(left > 0 && left <= tail.len(), "{at} of {}: {left}", bytes.len());
                frames.feed(tail);
                assert_eq!(frames.left(), Some(0), "{at} of {}", bytes.len());
            }
        }
    }
}

#[test]
fn what_is_left_leads_to_the_end_and_never_past_it() {
    let bytes = frame(1, true, 2, b"hello");
    let (mut frames, mut at) = (after(&bytes[..1]), 1);
    while let Some(left @ 1..) = frames.left() {
        frames.feed(&bytes[at..at + left]);
        at += left;
    }
    assert_eq!(at, bytes.len());
}

#[test]
fn a_close_frame_is_noticed_with_its_header() {
    let close = close_frame(4401, "over");
    assert_eq!(close, [0x88, 6, 0x11, 0x31, b'o', b'v', b'e', b'r']);
    assert!(!after(&close[..1]).closed());
    assert!(after(&close[..2]).closed());
    assert_eq!(after(&close).left(), Some(0));
    assert!(!after(&frame(9, false, 0, &[0x88; 10])).closed(), "a payload that looks like one");
    assert_eq!(close_frame(1000, &"x".repeat(200)).len(), 127);
}

#[test]
fn an_impossible_length_is_the_end_of_knowledge() {
    let mut bytes = vec![0x82, 127, 0x80];
    bytes.extend_from_slice(&[0; 7]);
    assert_eq!(after(&bytes).left(), None);
    bytes.extend_from_slice(&frame(1, false, 0, b"x"));
    assert_eq!(after(&bytes).left(), None);
    let mut long = vec![0x82, 127, 0x7f];
    long.extend_from_slice(&[0xff; 7]);
    assert!(after(&long).left().is_some_and(|left| left > 0));
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        list in prop::collection::vec((0..16_u8, any::<bool>(), 0..3_usize, prop::collection::vec(any::<u8>(), 0..300)), 0..6),
        cuts in prop::collection::vec(0..2000_usize, 0..20),
        cut_off in 0..10_usize,
    ) {
        let mut bytes: Vec<u8> =
            list.iter().flat_map(|(opcode, masked, form, payload)| frame(*opcode, *masked, *form, payload)).collect();
        prop_assert_eq!(after(&bytes).left(), Some(0));
        bytes.truncate(bytes.len().saturating_sub(cut_off));
        let mut pieces = Frames::new();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut from = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            pieces.feed(&bytes[from..cut]);
            from = cut;
        }
        prop_assert_eq!(pieces, after(&bytes));
    }

    #[test]
    fn no_bytes_do_harm(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let mut frames = Frames::new();
        for piece in &pieces {
            frames.feed(piece);
        }
        prop_assert_eq!(frames, after(&pieces.concat()));
    }
}
