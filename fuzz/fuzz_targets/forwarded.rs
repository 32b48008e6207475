//! What trusted proxies say of the client: `X-Forwarded-For`, `X-Forwarded-Proto`, `Forwarded`. Each line is a header;
//! its first character says which.

#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::edge::fuzzing::vouched;
use portcullis_fuzz::lines;

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in lines(data) {
        let Some((first, value)) = line.split_first() else { continue };
        let name = match first {
            b'x' => "x-forwarded-for",
            b'p' => "x-forwarded-proto",
            b'f' => "forwarded",
            _ => continue,
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let trusted = |address: IpAddr| matches!(address, IpAddr::V4(four) if four.octets()[0] == 10);
    let found = vouched(&headers, trusted);

    // Nobody is trusted: the last hop counts, whatever stands before it.
    let last = vouched(&headers, |_| false).map(|found| found.0);
    if let Some((address, _)) = found {
        assert_eq!(address, address.to_canonical());
        let last = last.expect("whoever is found behind proxies, the last hop can be read");
        assert!(address == last || trusted(last), "an address counts for which nobody vouches");
    }

    // What the client itself puts in front changes nothing.
    if let Some((address, _)) = found.filter(|found| !trusted(found.0)) {
        let name = if headers.contains_key("x-forwarded-for") { "x-forwarded-for" } else { "forwarded" };
        let own = if name == "forwarded" { "for=203.0.113.66" } else { "203.0.113.66, garbage" };
        let mut longer = HeaderMap::new();
        longer.append(name, HeaderValue::from_static(own));
        for value in headers.get_all(name) {
            longer.append(name, value.clone());
        }
        assert_eq!(vouched(&longer, trusted).map(|found| found.0), Some(address));
    }
});
