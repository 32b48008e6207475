//! Lines: where they end, what they begin with, what stands in them.

use super::table::{End, SMUGGLED, Table, get};

pub fn request_lines() -> Table {
    let mut table = Table::new("request lines");
    let rest = "Host: a\r\n\r\n";
    for line in [
        "GET",
        "GET ",
        "GET /x",
        "GET /x ",
        "/x HTTP/1.1",
        " GET /x HTTP/1.1",
        "\tGET /x HTTP/1.1",
        "GET  /x HTTP/1.1",
        "GET /x  HTTP/1.1",
        "GET /x HTTP/1.1 ",
        "GET /x HTTP/1.1\t",
        "GET\t/x\tHTTP/1.1",
        "GET\t/x HTTP/1.1",
        "GET /x\tHTTP/1.1",
        "GET\u{b}/x HTTP/1.1",
        "GET\u{a0}/x HTTP/1.1",
        "GET /x HTTP/1.1 GET /smuggled HTTP/1.1",
        "GET /x GET /smuggled HTTP/1.1",
        "GET /x y HTTP/1.1",
        "GET /x HTTP /1.1",
        "GET /x HTTP/ 1.1",
        "GET /x HTTP/1.1\0",
        "GET /x\0 HTTP/1.1",
        "G\0T /x HTTP/1.1",
        "\0GET /x HTTP/1.1",
        "G\u{c9}T /x HTTP/1.1",
        "\u{feff}GET /x HTTP/1.1",
        "G(E)T /x HTTP/1.1",
        "GET: /x HTTP/1.1",
        "\"GET\" /x HTTP/1.1",
        "GET, /x HTTP/1.1",
        "GET /x HTTP/1.1\rX: y",
        "GET /x HTTP/1.1\nX: y",
        "\rGET /x HTTP/1.1",
        "\nGET /x HTTP/1.1",
        "\r\n\r\nGET /x HTTP/1.1",
        "\r\n GET /x HTTP/1.1",
        "\n\r\nGET /x HTTP/1.1",
        "GET /x HTTP/1.1\r",
    ] {
        table.refused(400, format!("{line}\r\n{rest}{SMUGGLED}"));
    }
    for version in [
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.9",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/3",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.10",
        "HTTP/1.01",
        "HTTP/01.1",
        "HTTP/11",
        "HTTP/1,1",
        "HTTP/1-1",
        "HTTP/+1.1",
        "HTTP/-1.1",
        "HTTP/1.1.1",
        "HTTP/1.1x",
        "http/1.1",
        "Http/1.1",
        "HTTPS/1.1",
        "HTP/1.1",
        "HTTP\\1.1",
        "HTTP-1.1",
        "HTTP1.1",
        "ICY/1.1",
        "RTSP/1.0",
        "/1.1",
        "HTTP/1.\u{661}",
        "HTTP/\u{ff11}.1",
        "HTTP/9.9",
        "HTTP/65537.1",
        "HTTP/4294967297.1",
    ] {
        table.refused(400, format!("GET /x {version}\r\n{rest}{SMUGGLED}"));
    }
    table.refused(400, format!("GET /x\r\n{SMUGGLED}"));
    table.refused(400, format!("GET /x\n{SMUGGLED}"));
    // The preface of HTTP/2 opens a connection, and does not change one.
    table.add(get("") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED, &["GET /x"], End::Refused(400));
    table.refused(400, [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], SMUGGLED.as_bytes()].concat());
    table.refused(400, [&b"\x80\x2e\x01\x00\x02"[..], SMUGGLED.as_bytes()].concat());
    table.refused(400, format!("\r\r\n{SMUGGLED}"));
    // One empty line is to be overlooked (RFC 9112, section 2.2).
    table.served(format!("\r\n{}", get("")), "GET /x");
    // Another protocol's words are a method like any other, or nothing.
    table.served("M-SEARCH /x HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH /x");
    table.served("GeT /x HTTP/1.1\r\nHost: a\r\n\r\n", "GeT /x");
    table.served("REFUSED /x HTTP/1.1\r\nHost: refused.invalid\r\n\r\n", "REFUSED /x");
    table
}

pub fn field_lines() -> Table {
    let mut table = Table::new("field lines");
    for line in [
        "no colon",
        "nocolon",
        ":",
        ": empty",
        ":empty",
        " : empty",
        "X Y: z",
        "X : y",
        "X\t: y",
        "X\u{b}: y",
        " X: y",
        "\tX: y",
        "A: b\r\n folded",
        "A: b\r\n\tfolded",
        "A: b\r\n \r\nX: y",
        "A:\r\n b",
        "A: b\r\n  GET /smuggled HTTP/1.1",
        "A: b\nX: y",
        "A: b\n",
        "\nA: b",
        "A: b\rX: y",
        "A: b\r",
        "A: b\r\r",
        "\rA: b",
        "A: b\r\n\nX: y",
        "A\n: b",
        "A\r: b",
        "A:\rb",
        "A:\nb",
        "A: \0",
        "A: b\0c",
        "A\0: b",
        "A: \u{1}",
        "A: \u{8}",
        "A: \u{b}",
        "A: \u{c}",
        "A: \u{1b}[31m",
        "A: \u{7f}",
        "A\u{7f}: b",
        "A\u{1}: b",
        "(A): b",
        "A(b): c",
        "A,B: c",
        "A/B: c",
        "A;B: c",
        "A<B: c",
        "A=B: c",
        "A>B: c",
        "A?B: c",
        "A@B: c",
        "[A]: c",
        "A\\B: c",
        "{A}: c",
        "\"A\": b",
        "Caf\u{e9}: b",
        "\u{ff21}: b",
        "\u{feff}A: b",
        "GET /smuggled HTTP/1.1",
        "GET http://a/smuggled HTTP/1.1",
    ] {
        table.refused(400, get(&format!("{line}\r\n")) + SMUGGLED);
    }
    let raw = |value: &[u8]| [b"GET /x HTTP/1.1\r\nHost: a\r\n", value, b"\r\n\r\n"].concat();
    table.refused(400, raw(b"Caf\xe9: b"));
    table.refused(400, raw(b"\xff: b"));
    // The end of a head.
    table.refused(400, format!("GET /x HTTP/1.1\nHost: a\n\n{SMUGGLED}"));
    table.refused(400, format!("GET /x HTTP/1.1\r\nHost: a\n\n{SMUGGLED}"));
    table.refused(400, format!("GET /x HTTP/1.1\r\nHost: a\r\n\n{SMUGGLED}"));
    table.refused(400, format!("GET /x HTTP/1.1\r\nHost: a\r\r\n{SMUGGLED}"));
    table.refused(400, format!("GET /x HTTP/1.1\rHost: a\r\r{SMUGGLED}"));
    table.refused(400, format!("GET /x HTTP/1.1\r\nHost: a\r\n\r{SMUGGLED}"));
    table.refused(400, format!("GET /x HTTP/1.1\r\nHost: a\r\n\n\r\n{SMUGGLED}"));
    table.refused(400, format!("GET /x HTTP/1.1\r\nHost: a\n\r\n{SMUGGLED}"));
    // What looks odd and can be read in one way only.
    for line in [
        "A:",
        "A:b",
        "A: \t b \t ",
        "A: b:c",
        "A: b\tc",
        "A: :",
        "A: \"b",
        "!#$%&'*+-.^_`|~: b",
        "0: 1",
        "A: content-length: 5",
        "A: GET /smuggled HTTP/1.1",
    ] {
        table.served(get(&format!("{line}\r\n")), "GET /x");
    }
    table.served(raw(b"A: caf\xe9 \x80\xff"), "GET /x");
    table
}

pub fn sizes() -> Table {
    let mut table = Table::new("sizes");
    let long = |count: usize| "a".repeat(count);
    table.refused(431, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}", long(20_000)));
    table.refused(431, format!("{} /x HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}", long(20_000)));
    table.refused(431, get(&format!("X: {}\r\n", long(20_000))) + SMUGGLED);
    table.refused(431, get(&format!("{}: y\r\n", long(20_000))) + SMUGGLED);
    table.refused(431, get(&"X: y\r\n".repeat(100)) + SMUGGLED);
    table.refused(431, get(&"X: y\r\n".repeat(5000)) + SMUGGLED);
    table.refused(431, format!("GET /x HTTP/1.1\r\n{}Host: a\r\n\r\n{SMUGGLED}", "X: y\r\n".repeat(100)));
    table.served(get(&"X: y\r\n".repeat(90)), "GET /x");
    table.served(get(&format!("X: {}\r\n", long(15_000))), "GET /x");
    // Short of its end when the limit is reached, it is refused without waiting for more.
    table.refused(431, format!("GET /{}", long(20_000)));
    table.add(get("") + &format!("GET /{}", long(20_000)), &["GET /x"], End::Refused(431));
    table
}
