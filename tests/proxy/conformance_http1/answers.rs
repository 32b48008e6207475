//! Answers of an upstream, good and garbled: the client gets what was meant, an error of ours, or sees that it broke off;
//! and what one answer leaves behind is never another's.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use crate::harness::http::Wire;
use crate::harness::portcullis::Portcullis;
use crate::proxy::corpus::strict;

/// What becomes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Then {
    /// Passed on with this status and body.
    Passed(u16, &'static str),
    /// 502.
    Refused,
    /// It begins, and ends before its end.
    Broken,
}
use Then::{Broken, Passed, Refused};

/// A section of RFC 9112 or 9110, what an upstream writes to a `GET`, whether it then closes, and what becomes of it.
type Row = (&'static str, Vec<u8>, bool, Then);

/// An upstream that answers `/N` with the row of that number, anything else with `clean`.
fn upstream(rows: &Arc<Vec<Row>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let rows = Arc::clone(rows);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let rows = Arc::clone(&rows);
            std::thread::spawn(move || serve(stream, &rows));
        }
    });
    address
}

fn serve(stream: TcpStream, rows: &[Row]) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        let number = line.split(' ').nth(1).and_then(|target| target.strip_prefix('/')?.parse::<usize>().ok());
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let clean = (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean".to_vec(), false);
        let (bytes, close) = number.and_then(|n| rows.get(n)).map_or(clean, |row| (row.1.clone(), row.2));
        if writer.write_all(&bytes).is_err() || close {
            return;
        }
    }
}

fn start(rows: &Arc<Vec<Row>>) -> Portcullis {
    let address = upstream(rows);
    Portcullis::start(&format!(
        "[upstream.behind]\nendpoints = [\"http://{address}\"]\ntimeouts = {{ response = \"5s\" }}\nmax_connections = 64\n\
         [log]\naccess = false\n\
         [route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"behind\""
    ))
}

/// Asks for each row, and twice for something else behind it on the same connection.
fn check(rows: Vec<Row>) {
    let rows = Arc::new(rows);
    let portcullis = start(&rows);
    let mut faults = Vec::new();
    for (number, (section, bytes, _, then)) in rows.iter().enumerate() {
        for method in ["GET", "HEAD"] {
            let mut wire = Wire::connect(portcullis.address());
            wire.write(format!(
                "{method} /{number} HTTP/1.1\r\nHost: a\r\n\r\nGET /clean HTTP/1.1\r\nHost: a\r\n\r\n\
                 GET /clean HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            ));
            let raw = wire.read_to_end();
            let expected = match (method, then) {
                // There is no body to be wrong.
                ("HEAD", Passed(status, _)) => Passed(*status, ""),
                ("HEAD", Broken) => Passed(200, ""),
                (_, then) => then.clone(),
            };
            if let Err(fault) = verdict(&raw, method, &expected) {
                let start = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
                let raw = String::from_utf8_lossy(&raw).into_owned();
                faults.push(format!("{section}, {method}: {start:?}: {fault}, not {expected:?}: {raw:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn verdict(raw: &[u8], method: &str, expected: &Then) -> Result<(), String> {
    let first = strict::answer(raw, method).map_err(|fault| format!("the client got no answer: {fault}"))?;
    let Some((first, length)) = first else {
        return if *expected == Broken { Ok(()) } else { Err("it broke off".to_owned()) };
    };
    let status = strict::status(&first.start).ok_or("no status")?;
    let text = String::from_utf8_lossy(&first.body).into_owned();
    let framing = (first.values("content-length").len(), first.values("transfer-encoding").len());
    if framing == (1, 1) || framing.0 > 1 || framing.1 > 1 {
        return Err(format!("framed {framing:?}"));
    }
    match expected {
        Passed(wanted, body) if (status, &*text) == (*wanted, *body) => {}
        // A `HEAD` that is refused has no body either.
        Refused if status == 502 => {}
        _ => return Err(format!("got {status} {text:?}")),
    }
    let mut rest = &raw[length..];
    for _ in 0..2 {
        match strict::answer(rest, "GET")? {
            Some((next, length)) if next.body == b"clean" => rest = &rest[length..],
            other => return Err(format!("the next answer was {other:?}")),
        }
    }
    if rest.is_empty() { Ok(()) } else { Err("more than was asked for".to_owned()) }
}

fn row(section: &'static str, bytes: impl AsRef<[u8]>, close: bool, then: Then) -> Row {
    (section, bytes.as_ref().to_vec(), close, then)
}

#[test]
fn rfc9112_4_status_lines() {
    let rest = "Content-Length: 2\r\n\r\nok";
    let mut rows = Vec::new();
    for line in ["HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200 any words: at all", "HTTP/1.0 200 OK"] {
        rows.push(row("9112 4", format!("{line}\r\n{rest}"), line.contains("1.0"), Passed(200, "ok")));
    }
    rows.push(row("9110 15", format!("HTTP/1.1 599 Odd\r\n{rest}"), false, Passed(599, "ok")));
    rows.push(row("9110 15", format!("HTTP/1.1 299 Odd\r\n{rest}"), false, Passed(299, "ok")));
    for line in [
        "",
        "garbage",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 -200 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/2 200 OK",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "ICY 200 OK",
        " HTTP/1.1 200 OK",
        "\0HTTP/1.1 200 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        "GET / HTTP/1.1",
        "SSH-2.0-x",
        "<html>",
    ] {
        rows.push(row("9112 4", format!("{line}\r\n{rest}"), true, Refused));
    }
    check(rows);
}

#[test]
fn rfc9112_6_3_lengths_of_answers() {
    let mut rows = vec![
        row("9112 6.3 (8)", "HTTP/1.1 200 OK\r\n\r\nto the end", true, Passed(200, "to the end")),
        row("9112 6.3 (8)", "HTTP/1.0 200 OK\r\n\r\nto the end", true, Passed(200, "to the end")),
        row("9112 6.3 (6)", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, Passed(200, "")),
        row("9112 6.3 (6)", "HTTP/1.1 200 OK\r\nContent-Length: 002\r\n\r\nok", false, Passed(200, "ok")),
        // The same again is one length (9110 8.6); it is sent on once.
        row(
            "9110 8.6",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            false,
            Passed(200, "ok"),
        ),
        row("9112 6.3 (6)", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", true, Broken),
        row("9112 8", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true, Broken),
        row("9112 8", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", true, Broken),
    ];
    for fields in [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2, 3",
        "Content-Length: -2",
        "Content-Length: +2",
        "Content-Length: 0x2",
        "Content-Length: 2 2",
        "Content-Length: two",
        "Content-Length: ",
        "Content-Length: 2.0",
        "Content-Length: 18446744073709551618",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 2",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
        "Transfer-Encoding:",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        rows.push(row("9112 6.3 (3-5)", bytes, true, Refused));
    }
    // HTTP/1.0 has no codings (9112 6.1).
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    rows.push(row("9112 6.1", old, true, Refused));
    check(rows);
}

#[test]
fn rfc9112_7_1_chunks_of_answers() {
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let mut rows = Vec::new();
    for body in [
        "2\r\nok\r\n0\r\n\r\n",
        "02\r\nok\r\n000\r\n\r\n",
        "1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        "2;a=b;c\r\nok\r\n0;d\r\n\r\n",
        "2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        "2\r\nok\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: x\r\n\r\n",
    ] {
        rows.push(row("9112 7.1", chunked(body), false, Passed(200, "ok")));
    }
    for body in [
        "x\r\nok\r\n0\r\n\r\n",
        "-2\r\nok\r\n0\r\n\r\n",
        "+2\r\nok\r\n0\r\n\r\n",
        "0x2\r\nok\r\n0\r\n\r\n",
        "\r\nok\r\n0\r\n\r\n",
        "2\nok\r\n0\r\n\r\n",
        "2\r\nok0\r\n\r\n",
        "2\r\nokay\r\n0\r\n\r\n",
        "2\r\nok\n0\r\n\r\n",
        "10000000000000002\r\nok\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFFFF\r\nok\r\n0\r\n\r\n",
        "2;a\nb\r\nok\r\n0\r\n\r\n",
        "2\r\nok\r\n0\r\n\n",
    ] {
        rows.push(row("9112 7.1", chunked(body), true, Broken));
    }
    rows.push(row("9112 7.1.1", chunked(&format!("2;{}\r\nok\r\n0\r\n\r\n", "a".repeat(64 * 1024))), true, Broken));
    rows.push(row("9112 7.1.2", chunked(&format!("2\r\nok\r\n0\r\n{}\r\n", "X: y\r\n".repeat(30_000))), true, Broken));
    check(rows);
}

#[test]
fn rfc9112_5_fields_of_answers() {
    let with = |fields: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{fields}\r\n\r\nok");
    let mut rows = Vec::new();
    for fields in ["X:", "X: \t y \t", "X: caf\u{e9}", "X: a\tb", "Connection: x\r\nX: y", "Keep-Alive: timeout=1"] {
        rows.push(row("9112 5", with(fields), false, Passed(200, "ok")));
    }
    for fields in [
        "X : y",
        "X\t: y",
        " X: y",
        "X: y\r\n folded",
        "X: y\r\n\tfolded",
        ": y",
        "no colon",
        "X Y: z",
        "X: \0",
        "X: a\rSet-Cookie: b",
        "X: \u{1}",
        "X: \u{7f}",
        "X(y): z",
        "X\0: y",
        "Caf\u{e9}: y",
    ] {
        rows.push(row("9112 5", with(fields), true, Refused));
    }
    rows.push(row("9110 5.4", with(&format!("X: {}", "y".repeat(70_000))), true, Refused));
    rows.push(row("9110 5.4", with(&"X: y\r\n".repeat(5000)), true, Refused));
    rows.push(row("9110 5.4", format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(300_000)), true, Refused));
    check(rows);
}

#[test]
fn rfc9110_15_and_9112_6_3_answers_without_a_body_leave_none_behind() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned";
    let mut rows = Vec::new();
    for status in ["204 No Content", "304 Not Modified"] {
        let code = status[..3].parse().expect("a number");
        for fields in ["", "Content-Length: 0\r\n", "ETag: \"x\"\r\n"] {
            rows.push(row("9110 15", format!("HTTP/1.1 {status}\r\n{fields}\r\n"), false, Passed(code, "")));
        }
        // A body that may not be there is not the next answer.
        for fields in ["", "Content-Length: 50\r\n", "Transfer-Encoding: chunked\r\n"] {
            rows.push(row(
                "9112 6.3 (1)",
                format!("HTTP/1.1 {status}\r\n{fields}\r\n{poison}"),
                false,
                Passed(code, ""),
            ));
        }
    }
    // Nor is what follows an answer that had ended.
    for fields in
        ["Content-Length: 2\r\n\r\nok", "Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
    {
        let body = if fields.ends_with("ok") { "ok" } else { "" };
        for behind in [poison, "garbage", "\r\n", "\0"] {
            rows.push(row("9112 6.3", format!("HTTP/1.1 200 OK\r\n{fields}{behind}"), false, Passed(200, body)));
        }
    }
    check(rows);
}

#[test]
fn rfc9110_15_2_interim_answers() {
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let mut rows = Vec::new();
    for interim in ["100 Continue", "102 Processing", "103 Early Hints", "199 Odd"] {
        rows.push(row("9110 15.2", format!("HTTP/1.1 {interim}\r\n\r\n{last}"), false, Passed(200, "ok")));
        let many = format!("HTTP/1.1 {interim}\r\nX: y\r\n\r\n").repeat(20);
        rows.push(row("9110 15.2", many + last, false, Passed(200, "ok")));
    }
    // Nobody asked for another protocol.
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    rows.push(row("9110 15.2.2", switch, false, Refused));
    rows.push(row("9110 15.2.2", format!("{switch}{last}"), false, Refused));
    rows.push(row("9110 15.2", "HTTP/1.1 100 Continue\r\n\r\n", true, Refused));
    check(rows);
}

#[test]
fn rfc9112_8_answers_that_break_off() {
    let whole = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nok";
    let head = whole.len() - 2;
    let rows =
        (0..whole.len()).map(|cut| row("9112 8", &whole[..cut], true, if cut < head { Refused } else { Broken }));
    check(rows.collect());
}

#[test]
fn rfc9110_15_2_interim_answers_without_end_are_an_upstream_that_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let flood = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        // Ends when the other side has had enough; a test that never sees that hangs, and the client's patience ends it.
        while stream.write_all(&b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100)).is_ok() {}
    });
    let portcullis = Portcullis::start(&format!(
        "[upstream.behind]\nendpoints = [\"http://{address}\"]\ntimeouts = {{ response = \"300ms\" }}\n\
         [route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"behind\""
    ));
    let answer = crate::harness::http::get(portcullis.address(), "/x", "");
    assert!(matches!(answer.status, 502 | 504), "{}", answer.head);
    flood.join().expect("its connection was closed");
}
