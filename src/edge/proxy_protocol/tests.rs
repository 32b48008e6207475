use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

/// A header of version 2: command, family, and what follows the length.
fn v2_header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE, &[command, family], &length, block].concat()
}

/// From 203.0.113.9:51234 to 192.0.2.1:443, and these fields.
fn v2_tcp4(fields: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, 9, 192, 0, 2, 1, 0xC8, 0x22, 0x01, 0xBB];
    v2_header(0x21, 0x11, &[&addresses[..], fields].concat())
}

fn with_checksum(fields: &[u8]) -> Vec<u8> {
    let mut header = v2_tcp4(&[fields, &[0x03, 0, 4, 0, 0, 0, 0]].concat());
    let at = header.len() - 4;
    let sum = v2::crc32c_without(&header, at).to_be_bytes();
    header[at..].copy_from_slice(&sum);
    header
}

/// Reads the header that these bytes begin with, as they are there at once; and what is left then.
fn parse(bytes: &[u8]) -> (Result<Source, String>, Vec<u8>) {
    let mut rest = bytes;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let source = runtime.block_on(read(&mut rest)).map_err(|error| error.to_string());
    (source, rest.to_vec())
}

#[track_caller]
fn is_client(header: impl AsRef<[u8]>, client: &str) {
    let (source, rest) = parse(&[header.as_ref(), b"after"].concat());
    assert_eq!(source, Ok(Source::Client(client.parse().unwrap())));
    assert_eq!(rest, b"after");
}

#[track_caller]
fn is_unknown(header: impl AsRef<[u8]>) {
    let (source, rest) = parse(&[header.as_ref(), b"after"].concat());
    assert_eq!((source, rest), (Ok(Source::Unknown), b"after".to_vec()));
}

#[track_caller]
fn is_refused(header: impl AsRef<[u8]>, why: &str) {
    // What follows would fill up what the header lacks.
    let (source, _) = parse(&[header.as_ref(), &[b'x'; 200]].concat());
    let text = source.expect_err("an error");
    assert!(text.contains(why), "{text}");
}

#[test]
fn lines_of_version_1_name_the_client() {
    is_client("PROXY TCP4 203.0.113.9 192.0.2.1 51234 443\r\n", "203.0.113.9:51234");
    is_client("PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n", "1.1.1.1:0");
    is_client("PROXY TCP6 2001:db8::9 ::1 65535 443\r\n", "[2001:db8::9]:65535");
    is_client("PROXY TCP6 ::ffff:203.0.113.9 ::1 1 443\r\n", "203.0.113.9:1");
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    is_client(format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n"), &format!("[{longest}]:65535"));
    is_unknown("PROXY UNKNOWN\r\n");
    is_unknown("PROXY UNKNOWN ffff::1 what ever 65535\r\n");
}

#[test]
fn lines_that_say_something_else_are_refused() {
    for line in [
        "PROXY TCP4 203.0.113.9 192.0.2.1 51234\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.1 51234 443 1\r\n",
        "PROXY TCP4 203.0.113.9  192.0.2.1 51234 443\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.1 51234 443 \r\n",
        "PROXY TCP4 203.0.113 192.0.2.1 51234 443\r\n",
        "PROXY TCP4 203.0.113.009 192.0.2.1 51234 443\r\n",
        "PROXY TCP4 2001:db8::9 192.0.2.1 51234 443\r\n",
        "PROXY TCP6 203.0.113.9 192.0.2.1 51234 443\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.1 51234 65536\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.1 +1234 443\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.1 051234 443\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.1\t51234 443\r\n",
        "PROXY TCP4 203.0.113.9 localhost 51234 443\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.1  443\r\n",
    ] {
        is_refused(line, "malformed header");
    }
    for line in [
        "PROXY TCP4 203.0.113.9 192.0.2.1 51234 443\nGET",
        "PROXY TCP4 203.0.113.9 192.0.2.1 51234 443\r\r\n",
        "PROXY TCP4 203.0.113.9\r\n192.0.2.1 51234 443\r\n",
        "PROXY UNKNOWN\rx\r\n",
        "PROXY UNKNOWN x\ny\r\n",
    ] {
        is_refused(line, "CRLF");
    }
    for line in ["PROXY TCP5 203.0.113.9 192.0.2.1 1 2\r\n", "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", "PROXY UNKNOWNS\r\n"]
    {
        is_refused(line, "neither TCP4 nor TCP6");
    }
    is_refused(format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)), "107");
    is_unknown(format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)));
    for other in
        ["GET / HTTP/1.1\r\n", "proxy TCP4", "PRI * HTTP/2.0\r\n\r\n", "\x16\x03\x01\x02\0\x01\0\x01\x7C\x03\x03"]
    {
        is_refused(other, "does not begin with a header");
    }
}

#[test]
fn headers_of_version_2_name_the_client() {
    is_client(v2_tcp4(b""), "203.0.113.9:51234");
    is_client(v2_tcp4(b"\x01\0\x02h2\x04\0\0"), "203.0.113.9:51234");
    let source: Ipv6 = "2001:db8::9".parse().unwrap();
    let tcp6 = [&source.octets()[..], &[0; 16], &[0, 80, 1, 187]].concat();
    is_client(v2_header(0x21, 0x21, &tcp6), "[2001:db8::9]:80");
    let mapped: Ipv6 = "::ffff:203.0.113.9".parse().unwrap();
    let tcp6 = [&mapped.octets()[..], &[0; 16], &[0, 80, 1, 187]].concat();
    is_client(v2_header(0x21, 0x21, &tcp6), "203.0.113.9:80");
}

type Ipv6 = std::net::Ipv6Addr;

#[test]
fn a_proxys_own_connections_and_those_without_an_address_are_of_unknown_source() {
    is_unknown(v2_header(0x20, 0x00, b""));
    // Of LOCAL, all else is to be ignored.
    is_unknown(v2_header(0x20, 0x11, b"anything"));
    is_unknown(v2_header(0x21, 0x00, b"anything"));
    is_unknown(v2_header(0x21, 0x31, &[b'/'; 216]));
}

#[test]
fn headers_of_version_2_that_say_something_else_are_refused() {
    let addresses = [0; 36];
    for command in [0x00, 0x01, 0x11, 0x22, 0x2F, 0x31] {
        is_refused(v2_header(command, 0x11, &addresses), "version or command");
    }
    // Datagrams, and what means nothing.
    for family in [0x01, 0x10, 0x12, 0x22, 0x32, 0x13, 0x41, 0xFF] {
        is_refused(v2_header(0x21, family, &[0; 216]), "family");
    }
    for (family, size) in [(0x11, 12), (0x21, 36), (0x31, 216)] {
        for short in [0, 1, size - 1] {
            is_refused(v2_header(0x21, family, &vec![0; short]), "cut off");
        }
    }
    is_refused(v2_header(0x21, 0x11, &[0; v2::MOST + 1]), "4096");
    is_refused(v2_header(0x20, 0x00, &[0; v2::MOST + 1]), "4096");
    is_unknown(v2_header(0x20, 0x00, &[0; v2::MOST]));
}

#[test]
fn f62_no_field_reaches_beyond_the_header() {
    for fields in [
        &b"\x01"[..],
        b"\x01\0",
        b"\x01\0\x01",
        b"\x01\0\x03h2",
        b"\x01\xFF\xFFh2",
        b"\x01\0\x02h2\x05",
        b"\x01\0\x02h2\x05\0\x01",
        b"\x04\0\x04\0\0\0",
    ] {
        is_refused(v2_tcp4(fields), "reaches beyond");
    }
}

#[test]
fn a_checksum_that_is_there_is_right() {
    // RFC 3720, appendix B.4: 32 zeros; and the check value of the catalogue.
    assert_eq!(v2::crc32c_without(&[0; 32], 32), 0x8A91_36AA);
    assert_eq!(v2::crc32c_without(b"123456789", 9), 0xE306_9283);
    is_client(with_checksum(b""), "203.0.113.9:51234");
    let good = with_checksum(b"\x01\0\x02h2");
    is_client(&good, "203.0.113.9:51234");
    // Anything of it that changes: the address, the port, a field, the sum.
    for at in [16, 19, 24, 31, 32, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        is_refused(&bad, "checksum is wrong");
    }
    is_refused(v2_tcp4(b"\x03\0\x03\0\0\0"), "not 4 bytes");
    // Two of them, the first as if the second were zero.
    let twice = with_checksum(&with_checksum(b"")[28..]);
    is_refused(&twice, "checksum is wrong");
}

#[test]
fn a_header_may_arrive_in_any_pieces() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let headers = [
        b"PROXY TCP4 203.0.113.9 192.0.2.1 51234 443\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN x\r\n".to_vec(),
        with_checksum(b"\x01\0\x02h2"),
        v2_header(0x20, 0, b""),
    ];
    let wholes: Vec<_> = headers.iter().map(|header| parse(header).0).collect();
    let cut_off = |header: &[u8]| (0..header.len()).find(|end| parse(&header[..*end]).0.is_ok());
    assert!(headers.iter().all(|header| cut_off(header).is_none()));
    runtime.block_on(async {
        for (header, whole) in headers.iter().zip(&wholes) {
            for at in 0..header.len() {
                let (mut near, mut far) = tokio::io::duplex(1024);
                let (first, second) = header.split_at(at);
                far.write_all(first).await.unwrap();
                let reading = read(&mut near);
                let writing = async {
                    // Whoever reads has had a turn with the first piece alone.
                    tokio::task::yield_now().await;
                    far.write_all(&[second, b"after"].concat()).await.unwrap();
                };
                let (source, ()) = tokio::join!(reading, writing);
                assert_eq!(&source.map_err(|error| error.to_string()), whole, "cut at {at}");
                let mut after = [0; 5];
                near.read_exact(&mut after).await.unwrap();
                assert_eq!(&after, b"after");
            }
        }
    });
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_read_on(
        version in 0..3,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = match version {
            0 => [&b"PROXY TCP"[..], &bytes].concat(),
            1 => [v2::SIGNATURE, &bytes].concat(),
            _ => bytes,
        };
        let _ = parse(&bytes);
    }

    #[test]
    fn fields_of_any_kind_are_read_to_the_last_byte(
        fields in proptest::collection::vec((4u8..=255, proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
        cut in 1usize..3,
    ) {
        let mut block = Vec::new();
        for (kind, value) in &fields {
            block.push(*kind);
            block.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            block.extend(value);
        }
        is_client(v2_tcp4(&block), "203.0.113.9:51234");
        is_client(with_checksum(&block), "203.0.113.9:51234");
        // A field too short to be one.
        block.extend(std::iter::repeat_n(4, cut));
        is_refused(v2_tcp4(&block), "reaches beyond");
    }

    #[test]
    fn any_client_of_version_1_is_read(address: std::net::Ipv4Addr, port: u16, of: u16) {
        is_client(format!("PROXY TCP4 {address} 192.0.2.1 {port} {of}\r\n"), &format!("{address}:{port}"));
    }
}
