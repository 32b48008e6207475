//! How long a body is: CL.TE, TE.CL, TE.TE, CL.0, 0.CL and what else can be said of a length in two ways.

use super::table::{End, SMUGGLED, Table, chunked, get, post};

/// What follows is a request to whoever goes by chunks, and a body to whoever goes by a length; and the other way round.
const CHUNKED_END: &str = "0\r\n\r\n";

pub fn both() -> Table {
    let mut table = Table::new("length and coding");
    let inside = format!("{CHUNKED_END}{SMUGGLED}");
    let length = inside.len();
    for fields in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nX: y\r\nContent-Length: 5\r\n".to_owned(),
        "content-length: 5\r\ntransfer-encoding: CHUNKED\r\n".to_owned(),
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Content-Length: 5\r\nTransfer-Encoding: \r\n".to_owned(),
        "Content-Length: 5\r\nTransfer-Encoding: x\r\n".to_owned(),
        "Connection: Transfer-Encoding\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Connection: Content-Length\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n".to_owned(),
    ] {
        table.refused(400, post(&fields, &inside));
    }
    table.refused(400, get("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + &inside);
    table
}

pub fn codings() -> Table {
    let mut table = Table::new("transfer codings");
    let body = format!("3\r\nabc\r\n{CHUNKED_END}");
    for value in ["chunked", "Chunked", "CHUNKED", "chunked \t ", " \tchunked", "\tchunked"] {
        table.served(post(&format!("Transfer-Encoding:{value}\r\n"), &body), "POST /x abc");
    }
    let smuggling = format!("{CHUNKED_END}{SMUGGLED}");
    for line in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: chunke",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked chunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked;ext",
        "Transfer-Encoding: chun ked",
        "Transfer-Encoding: chunk\u{e9}d",
        "Transfer-Encoding: \u{212a}chunked",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: \0chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\u{b}",
        "Transfer-Encoding: \u{c}chunked",
        "Transfer-Encoding: \u{a0}chunked",
        "Transfer-Encoding: \u{85}chunked",
        "Transfer-Encoding: \u{7f}chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding\0: chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding:\n chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\r\rTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\rX: y",
        "Transfer-Encoding= chunked",
        "Transfer-Encoding; chunked",
        "Transfer Encoding: chunked",
        "\"Transfer-Encoding\": chunked",
    ] {
        table.refused(400, post(&format!("{line}\r\n"), &smuggling));
        if !line.contains("Content-Length") {
            table.refused(400, post(&format!("Content-Length: 5\r\n{line}\r\n"), &smuggling));
        }
    }
    // Other names than the one that counts: what counts is the length, and their imitations go no further.
    for name in
        ["Transfer_Encoding", "Transfer.Encoding", "TransferEncoding", "X-Transfer-Encoding", "Transfer-Encoding1"]
    {
        let fields = format!("Content-Length: 5\r\n{name}: chunked\r\n");
        table.served(post(&fields, CHUNKED_END), "POST /x 0\r\n\r\n");
        table.add(post(&format!("{name}: chunked\r\n"), SMUGGLED), &["POST /x", "GET /smuggled"], End::Open);
    }
    table
}

pub fn lengths() -> Table {
    let mut table = Table::new("content lengths");
    for (value, seen) in [("3", "POST /x abc"), ("  3\t ", "POST /x abc"), ("003", "POST /x abc")] {
        table.served(post(&format!("Content-Length:{value}\r\n"), "abc"), seen);
    }
    table.served(post("Content-Length: 0\r\n", ""), "POST /x");
    table.served(post("Content-Length: 000000000000000000\r\n", ""), "POST /x");
    for value in [
        "",
        " ",
        "+5",
        "-5",
        "-0",
        "5-",
        "5.",
        "5.0",
        "5e0",
        "0x5",
        "0X5",
        "5h",
        "#5",
        "5 5",
        "5\t5",
        "5,5",
        "5, 5",
        "5,6",
        ",5",
        "5,",
        "5;5",
        "\"5\"",
        "'5'",
        "five",
        "0b101",
        "0o5",
        "1_0",
        "5\0",
        "\x005",
        "5\u{b}",
        "\u{b}5",
        "5\u{7f}",
        "\u{665}",
        "\u{ff15}",
        "\u{a0}5",
        "4294967301x",
        "18446744073709551616",
        "18446744073709551621",
        "18446744073709551615",
        "9223372036854775808",
        "99999999999999999999999999999999999999999",
        "0000000000000000000000000000000000000005",
        "NaN",
        "null",
        "%35",
    ] {
        table.refused(400, post(&format!("Content-Length: {value}\r\n"), &format!("hello{SMUGGLED}")));
    }
    for fields in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nX: y\r\ncontent-length: 45\r\n",
        "Content-Length:\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length:\r\n",
        "Content-Length : 5\r\n",
        "Content-Length\t: 5\r\n",
        "Content-Length\0: 5\r\n",
        " Content-Length: 5\r\n",
        "X: y\r\n Content-Length: 5\r\n",
        "Content-Length:\r\n 5\r\n",
        "Content-Length: 5\r\n 5\r\n",
        "Content-Length: 5\r\n\t\r\n",
        "X: y\nContent-Length: 5\r\n",
        "Content-Length: 5\nX: y\r\n",
        "X: y\rContent-Length: 5\r\n",
        "Content-Length: 5\r\r\n",
        "Content-Length 5\r\n",
        "Content Length: 5\r\n",
    ] {
        table.refused(400, post(fields, &format!("hello{SMUGGLED}")));
    }
    // CL.0: what is counted belongs to its request, whatever the method or the target.
    let counted = format!("Content-Length: {}\r\n", SMUGGLED.len());
    for line in ["GET /x", "HEAD /x", "DELETE /x", "OPTIONS /x", "PROPFIND /x", "POST /x.css", "get /x"] {
        let bytes = format!("{line} HTTP/1.1\r\nHost: a\r\n{counted}\r\n{SMUGGLED}");
        table.served(bytes, &format!("{line} {SMUGGLED}"));
    }
    // 0.CL: what is not counted is a request of its own, or it is nothing.
    table.add(post("", SMUGGLED), &["POST /x", "GET /smuggled"], End::Open);
    table.add(post("Content-Length: 0\r\n", SMUGGLED), &["POST /x", "GET /smuggled"], End::Open);
    table.add(get("") + SMUGGLED, &["GET /x", "GET /smuggled"], End::Open);
    table.add(get("") + "abc" + SMUGGLED, &["GET /x", "abcGET /smuggled"], End::Open);
    table.add(get("") + "abc\r\n" + SMUGGLED, &["GET /x"], End::Refused(400));
    table.add(post("", "0\r\n\r\n") + SMUGGLED, &["POST /x"], End::Refused(400));
    table.add(post("Content-Length: 3\r\n", "abcX\r\n") + SMUGGLED, &["POST /x abc"], End::Refused(400));
    for name in ["Content_Length", "Content.Length", "ContentLength", "X-Content-Length", "Content-Length1"] {
        let fields = format!("{name}: {}\r\n", SMUGGLED.len());
        table.add(post(&fields, SMUGGLED), &["POST /x", "GET /smuggled"], End::Open);
    }
    table
}

pub fn chunks() -> Table {
    let mut table = Table::new("chunks");
    for (body, seen) in [
        ("0\r\n\r\n", "POST /x"),
        ("00000\r\n\r\n", "POST /x"),
        ("3\r\nabc\r\n0\r\n\r\n", "POST /x abc"),
        ("03\r\nabc\r\n0\r\n\r\n", "POST /x abc"),
        ("0000000000000003\r\nabc\r\n0\r\n\r\n", "POST /x abc"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "POST /x 0123456789"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "POST /x 0123456789"),
        ("1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "POST /x \r\n"),
        ("3;a\r\nabc\r\n0;b\r\n\r\n", "POST /x abc"),
        ("3;a=b;c=\"d e\"\r\nabc\r\n0\r\n\r\n", "POST /x abc"),
        ("3;a=\"0\";\r\nabc\r\n0\r\n\r\n", "POST /x abc"),
        ("3;GET /smuggled HTTP/1.1\r\nabc\r\n0\r\n\r\n", "POST /x abc"),
        ("3\r\nabc\r\n0\r\nX: y\r\n\r\n", "POST /x abc"),
        ("3\r\nabc\r\n0\r\nContent-Length: 50\r\n\r\n", "POST /x abc"),
        ("3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "POST /x abc"),
        ("3\r\nabc\r\n0\r\nHost: evil\r\n\r\n", "POST /x abc"),
        ("3\r\nabc\r\n0\r\nConnection: close\r\n\r\n", "POST /x abc"),
        ("3\r\nabc\r\n0\r\nGET /smuggled HTTP/1.1: x\r\n\r\n", ""),
    ] {
        if seen.is_empty() {
            table.broken(chunked(body));
        } else {
            table.served(chunked(body), seen);
        }
    }
    for size in [
        "",
        " ",
        "x",
        "-3",
        "+3",
        "0x3",
        "0X3",
        "3 ",
        " 3",
        "\t3",
        "3\t",
        "3h",
        "3.",
        "3_",
        "3,3",
        "3 3",
        "3\0",
        "\x003",
        "g",
        "\u{663}",
        "3\u{b}",
        "10000000000000003",
        "00000000000000003",
        "FFFFFFFFFFFFFFFFF",
        "3\r",
        "3\n",
        "\r\n3",
        "3 ;a",
        "3\t;a",
        ";a",
        "3;a\0b",
        "3;a\u{7f}",
        "3;a\nb",
        "3;a\n",
        "3;a\rb",
        "3;\"a\nb\"",
        "3\n;a",
        "3;a=\"\r\n\"",
    ] {
        table.broken(chunked(&format!("{size}\r\nabc\r\n0\r\n\r\n{SMUGGLED}")));
    }
    for body in [
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabcXX0\r\n\r\n",
        "3\r\nabc\r\n\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\n",
        "3\r\nabc\r\n0\n\r\n",
        "3\r\nabc\r\n0\r\n\r",
        "3\r\nabc\r\n0\r\n X: y\r\n\r\n",
        "3\r\nabc\r\n0\r\nX : y\r\n\r\n",
        "3\r\nabc\r\n0\r\n: y\r\n\r\n",
        "3\r\nabc\r\n0\r\nX\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: y\nZ: z\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: \0\r\n\r\n",
        "3\r\nabc\r\n0\r\nX: a\rb\r\n\r\n",
    ] {
        table.broken(chunked(&format!("{body}{SMUGGLED}")));
    }
    // A length beyond what a machine counts, and extensions and trailers beyond the limit.
    table.broken(chunked(&format!("3;{}\r\nabc\r\n0\r\n\r\n{SMUGGLED}", "a".repeat(20_000))));
    table.broken(chunked(&format!("{}0\r\n\r\n{SMUGGLED}", "1;abcdefghij\r\na\r\n".repeat(2000))));
    table.broken(chunked(&format!("3\r\nabc\r\n0\r\n{}\r\n{SMUGGLED}", "X: y\r\n".repeat(10_000))));
    // After its end comes the next request, and nothing else.
    table.add(chunked(&format!("0\r\n\r\n{SMUGGLED}")), &["POST /x", "GET /smuggled"], End::Open);
    table.add(chunked(&format!("0\r\n\r\n\r\n{SMUGGLED}")), &["POST /x", "GET /smuggled"], End::Open);
    table.add(chunked(&format!("0\r\n\r\nX\r\n{SMUGGLED}")), &["POST /x"], End::Refused(400));
    table.add(chunked(&format!("0\r\n\r\n0\r\n\r\n{SMUGGLED}")), &["POST /x"], End::Refused(400));
    table
}
