//! The framing guard. The first byte says how the rest is cut into pieces, which must make no difference; and what
//! passes is a head to a parser of other people as well, of the same length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::edge::fuzzing::{Framing, Next};

const MOST_BYTES: usize = 4096;
const MOST_FIELDS: usize = 32;

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else { return };
    let whole = feed(bytes, bytes.len().max(1));
    for size in [1, usize::from(*cut % 37) + 1] {
        let pieces = feed(bytes, size);
        assert_eq!((whole.0, whole.2), (pieces.0, pieces.2), "cut into pieces of {size}");
        // Whether a refusal has come yet may depend on what was read; what passes and what is refused does not.
        if whole.1 != pieces.1 {
            assert!(matches!((whole.1, pieces.1), (Next::Read, _) | (_, Next::Read)), "{whole:?} {pieces:?}");
        }
    }
    if whole.2 > 0 {
        check_first(&bytes[..whole.0]);
    }
});

/// How many bytes pass, the last verdict, and how many heads.
fn feed(bytes: &[u8], size: usize) -> (usize, Next, u64) {
    let mut framing = Framing::new(MOST_BYTES, MOST_FIELDS);
    let (mut passed, mut next) = (0, Next::Read);
    for end in (size..bytes.len() + size).step_by(size) {
        let fed = framing.feed(&bytes[passed..end.min(bytes.len())]);
        passed += fed.0;
        next = fed.1;
        if matches!(next, Next::Refuse(_) | Next::Broken) {
            // Whatever comes after it, nothing more passes.
            let again = framing.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(again, (0, next));
            break;
        }
    }
    (passed, next, framing.heads())
}

fn check_first(passed: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(length)) = request.parse(passed) else {
        panic!("another parser sees no head in {:?}", String::from_utf8_lossy(passed));
    };
    assert!(length <= passed.len());
    let count = |name: &str| request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    assert!(count("content-length") <= 1 && count("transfer-encoding") <= 1 && count("host") <= 1);
    assert!(count("content-length") + count("transfer-encoding") <= 1);
    assert!(request.version == Some(0) || count("host") == 1);
    assert!(request.version == Some(1) || count("transfer-encoding") == 0);
}
