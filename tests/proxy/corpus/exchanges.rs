//! Versions, connections, upgrades, expectations: what a request says of more than itself.

use super::table::{End, SMUGGLED, Table, chunked, get, post};

pub fn old() -> Table {
    let mut table = Table::new("HTTP/1.0");
    let old = |fields: &str, body: &str| format!("POST /x HTTP/1.0\r\n{fields}\r\n{body}");
    table.add(old("Host: a\r\n", ""), &["POST /x"], End::Closed);
    table.add(old("Host: a\r\nContent-Length: 3\r\n", "abc"), &["POST /x abc"], End::Closed);
    table.add(old("Host: a\r\nContent-Length: 3\r\n", "abc") + SMUGGLED, &["POST /x abc"], End::Closed);
    table.add(old("Host: a\r\nConnection: close\r\n", SMUGGLED), &["POST /x"], End::Closed);
    table.add(old("Host: a\r\nConnection: keep-alive\r\nContent-Length: 3\r\n", "abc"), &["POST /x abc"], End::Open);
    table.add(old("Host: a\r\nConnection: keep-alive\r\n", SMUGGLED), &["POST /x", "GET /smuggled"], End::Open);
    table.refused(400, "GET /x HTTP/1.0\r\n\r\n");
    for fields in [
        "Host: a\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: identity\r\n",
        "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
        "Host: a\r\n folded\r\n",
        "Host: a\nX: y\r\n",
    ] {
        table.refused(400, old(fields, &format!("0\r\n\r\n{SMUGGLED}")));
    }
    table
}

pub fn connections() -> Table {
    let mut table = Table::new("connections");
    for value in ["close, keep-alive", "keep-alive, close", "close", "Close", "x, close"] {
        table.add(get(&format!("Connection: {value}\r\n")) + SMUGGLED, &["GET /x"], End::Closed);
    }
    for value in [
        "keep-alive",
        "Keep-Alive",
        "",
        ",",
        ",,,",
        "x",
        "x y",
        "closed",
        "host",
        "Host, X-Auth-Subject",
        "x-auth-subject, x-request-id, x-forwarded-for, x-forwarded-proto",
        "authorization, cookie",
        "upgrade",
        "Upgrade, HTTP2-Settings",
        "content-length",
        "transfer-encoding",
        "te, trailer",
        "connection",
        "\"x\"",
        "*",
        "caf\u{e9}",
        "x=1;y",
    ] {
        table.served(get(&format!("Connection: {value}\r\n")), "GET /x");
    }
    table.served(post("Connection: content-length\r\nContent-Length: 3\r\n", "abc"), "POST /x abc");
    table.served(post("Content-Length: 3\r\nConnection: Content-Length, Host\r\n", "abc"), "POST /x abc");
    table.served(
        post("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        "POST /x abc",
    );
    table.served(
        post("Connection: trailer\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nx: y\r\n\r\n"),
        "POST /x abc",
    );
    for fields in [
        "Keep-Alive: timeout=5\r\n",
        "Keep-Alive: x\r\nConnection: keep-alive\r\n",
        "Proxy-Connection: keep-alive\r\n",
        "Proxy: http://evil.example\r\n",
        "Proxy-Authorization: Basic eDp5\r\n",
        "TE: trailers\r\n",
        "TE: trailers, chunked, gzip;q=0\r\nConnection: TE\r\n",
        "TE: chunked\r\n",
        "Trailer: Content-Length, Host\r\n",
        "Trailer: Transfer-Encoding\r\n",
        "Con_nection: close\r\n",
        "Connection_: close\r\n",
        "Max-Forwards: 0\r\n",
    ] {
        table.served(get(fields), "GET /x");
    }
    table
}

const SOCKET: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub fn upgrades() -> Table {
    let mut table = Table::new("upgrades");
    let h2c = "HTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    for fields in [
        // In good form; the upstream does not agree.
        format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{SOCKET}"),
        format!("Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n{SOCKET}"),
        // Not in good form.
        "Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: x\r\n"
            .to_owned(),
        format!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n{SOCKET}"),
        format!("Upgrade: websocket\r\n{SOCKET}"),
        format!("Connection: close-ish\r\nUpgrade: websocket\r\n{SOCKET}"),
        format!("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n{SOCKET}"),
        format!("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n{SOCKET}"),
        format!("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n{SOCKET}"),
        format!("Connection: Upgrade\r\nUpgrade: websocket/13\r\n{SOCKET}"),
        format!("Connection: Upgrade\r\nUpgrade: web socket\r\n{SOCKET}"),
        format!("Connection: Upgrade\r\nUpgrade:\r\n{SOCKET}"),
        format!("Connection: Upgrade\r\nUpgrade: xwebsocket\r\n{SOCKET}"),
        // Other protocols.
        format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n{h2c}"),
        format!("Connection: Upgrade\r\nUpgrade: h2c\r\n{h2c}"),
        format!("Upgrade: h2c\r\n{h2c}"),
        "Connection: Upgrade\r\nUpgrade: h2c\r\n".to_owned(),
        format!("Connection: HTTP2-Settings, Upgrade\r\nUpgrade: H2C\r\n{h2c}{h2c}"),
        "Connection: Upgrade\r\nUpgrade: h2\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: HTTP/1.0\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: connect-udp\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: x\r\n".to_owned(),
    ] {
        table.served(get(&fields), "GET /x");
        // What comes early is a request like any other, decided on by itself.
        table.add(get(&fields) + SMUGGLED, &["GET /x", "GET /smuggled"], End::Open);
        table.add(get(&fields) + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &["GET /x"], End::Refused(400));
        table.add(get(&fields) + "\u{81}\u{5}hello", &["GET /x"], End::Refused(400));
    }
    let fields = format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{SOCKET}");
    table.served(post(&format!("{fields}Content-Length: 3\r\n"), "abc"), "POST /x abc");
    table.served(get(&format!("{fields}Content-Length: 3\r\n")) + "abc", "GET /x abc");
    table.served(get(&format!("{fields}Transfer-Encoding: chunked\r\n")) + "3\r\nabc\r\n0\r\n\r\n", "GET /x abc");
    let old =
        format!("GET /x HTTP/1.0\r\nHost: a\r\nConnection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n{SOCKET}\r\n");
    table.add(old, &["GET /x"], End::Open);
    // An upstream that switches without having been asked, or to what was not asked for, is no upstream.
    let switches = |fields: &str| get(fields).replace("/x", "/switches");
    let asks = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for fields in [
        String::new(),
        "Upgrade: websocket\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: h2c\r\n".to_owned(),
        asks.to_owned(),
        format!("{asks}Sec-WebSocket-Version: 13\r\n"),
        format!("{asks}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short==\r\n"),
        format!("{asks}{SOCKET}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        format!("{asks}{SOCKET}Sec-WebSocket-Version: 13\r\n"),
        format!("{asks}{}", SOCKET.replace("13", "14")),
    ] {
        let fields = &fields;
        table.add(switches(fields), &["GET /switches"], End::Failed(502));
    }
    table
}

pub fn expectations() -> Table {
    let mut table = Table::new("expectations");
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    for value in ["100-continue", "100-Continue"] {
        let expect = format!("Expect: {value}\r\n");
        table.served(get(&expect), "GET /x");
        table.served(post(&format!("{expect}Content-Length: 3\r\n"), "abc"), "POST /x abc");
        table.served(post(&format!("{expect}Transfer-Encoding: chunked\r\n"), chunks), "POST /x abc");
        table.add(post(&format!("{expect}Content-Length: 0\r\n"), SMUGGLED), &["POST /x", "GET /smuggled"], End::Open);
    }
    // Whether a body follows what is not met, nobody knows: nothing behind it is read.
    for value in ["", "x", "100-continue, x", "200-ok", "100-continue=x", "100", "100-continue\r\nExpect: x"] {
        let expect = format!("Expect: {value}\r\n");
        table.refused(417, get(&expect) + SMUGGLED);
        table.refused(417, post(&format!("{expect}Content-Length: 3\r\n"), &format!("abc{SMUGGLED}")));
        table.refused(417, post(&format!("{expect}Content-Length: 500\r\n"), SMUGGLED));
        table.refused(417, post(&format!("{expect}Transfer-Encoding: chunked\r\n"), &format!("{chunks}{SMUGGLED}")));
    }
    table.add(
        "POST /x HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        &["POST /x abc"],
        End::Closed,
    );
    table
}

pub fn pipelines() -> Table {
    let mut table = Table::new("pipelines");
    let get = get("");
    let sized = post("Content-Length: 3\r\n", "abc");
    let chunked = chunked("3\r\nabc\r\n0\r\n\r\n");
    let all: Vec<(&str, &str)> = vec![(&get, "GET /x"), (&sized, "POST /x abc"), (&chunked, "POST /x abc")];
    for (first, one) in &all {
        for (second, two) in &all {
            table.add(format!("{first}{second}"), &[one, two], End::Open);
            table.add(format!("{first}\r\n{second}"), &[one, two], End::Open);
            table.add(format!("{first}\r\n\r\n{second}"), &[one], End::Refused(400));
            table.add(format!("{first} {second}"), &[one], End::Refused(400));
            table.add(format!("{first}\n{second}"), &[one], End::Refused(400));
        }
        table.add(format!("{first}GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}"), &[one], End::Refused(400));
        table.add(format!("{first}\0{SMUGGLED}"), &[one], End::Refused(400));
    }
    table.add(get.repeat(20), &["GET /x"; 20], End::Open);
    table
}

/// What is denied for want of a credential has been read in one way only, and its body is no request.
pub fn denials() -> Table {
    let mut table = Table::new("denials");
    let secret = |request: String| request.replacen("/x", "/secret", 1);
    table.denied(401, secret(get("")));
    table.denied(401, secret(post("", "")));
    let mut unread = |request: String| table.add(request, &[], End::Unread(401));
    for body in [SMUGGLED.to_owned(), SMUGGLED.repeat(40)] {
        unread(secret(post(&format!("Content-Length: {}\r\n", body.len()), &body)));
        unread(secret(get(&format!("Content-Length: {}\r\n", body.len())) + &body));
        unread(secret(chunked(&format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))));
    }
    unread(secret(post("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc")));
    let upgrade = format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{SOCKET}");
    table.denied(401, secret(get(&upgrade)));
    table.denied(401, secret(get("Connection: Upgrade\r\nUpgrade: h2c\r\n")));
    table
}
