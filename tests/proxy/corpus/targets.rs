//! Targets, hosts and methods.

use super::table::{SMUGGLED, Table};

pub fn targets() -> Table {
    let mut table = Table::new("targets");
    let request = |target: &[u8]| [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    for target in [
        "/x#",
        "/x#y",
        "#",
        "/#/../smuggled",
        "/x?y#z",
        "/x\\y",
        "\\x",
        "/x\0y",
        "/x\ty",
        "/x\u{b}y",
        "/x\u{7f}",
        "/x\ry",
        "/\u{e9}",
        "/x?\u{e9}",
        "/<x>",
        "/x?<y>",
        "x",
        "?x",
        "*",
        "a",
        "a:80",
        "//a",
        "./x",
        "../x",
        "@a/x",
        ":80/x",
        "http",
        "http:",
        "http:/x",
        "http:x",
        "ftp://a/x",
        "file:///x",
        "javascript:x",
        "data:,x",
        "ws://a/x",
        "wss://a/x",
        "urn:a:b",
        "//a/x",
        "http:///x",
        "http://",
        "http://b/x",
        "http://a:81/x",
        "http://a@b/x",
        "http://b@a/x",
        "http://a.b/x",
        "http://a%00/x",
        "http://%61/x",
        "http://[a]/x",
        "http://?x",
        "http://a?x#y",
        "http://a?x\"y",
        "http://b?x",
        "http://a\\@b/x",
        "http://a#@b/x",
    ] {
        table.refused(400, [request(target.as_bytes()), SMUGGLED.into()].concat());
    }
    for target in [
        "/..",
        "/../x",
        "/x/..",
        "/x/../y",
        "/.",
        "/x/./y",
        "/%2e%2e/x",
        "/%2E%2e",
        "/x/%2e",
        "/.%2e/x",
        "/x%2fy",
        "/x%2Fy",
        "/x%5cy",
        "/x%5Cy",
        "/%00",
        "/x%00y",
        "/%0a",
        "/%0d%0aX:y",
        "/%1f",
        "/%7f",
        "/x;y",
        "/..;/x",
        "/x;/../y",
        "//x",
        "/x//y",
        "/x//",
        "/%",
        "/%x",
        "/%2",
        "/%zz",
        "/%252e",
        "/%2525",
        "/%25%32%65",
        "/%ff",
        "/%c0%ae",
        "/%c0%af",
        "/%e0%80%ae",
        "/%ed%a0%80",
        "/%f5%80%80%80",
        "/x%3by",
        "/%u002e",
        "/%C2%80",
        "/%5c%2e%2e",
    ] {
        table.refused(400, [request(target.as_bytes()), SMUGGLED.into()].concat());
    }
    for (target, seen) in [
        ("/x?/../y", "GET /x?/../y"),
        ("/x?a=%00", "GET /x?a=%00"),
        ("/x?%zz", "GET /x?%zz"),
        ("/x?//", "GET /x?//"),
        ("/x?;", "GET /x?;"),
        ("/x??", "GET /x??"),
        ("/x?http://b/", "GET /x?http://b/"),
        ("/...", "GET /..."),
        ("/x:y@z", "GET /x:y@z"),
        ("/%20", "GET /%20"),
        ("/%C3%A4", "GET /%C3%A4"),
        ("/%c3%a4", "GET /%c3%a4"),
        ("/%23", "GET /%23"),
        ("/%3F", "GET /%3F"),
        ("http://a/x", "GET /x"),
        ("HTTP://A/x", "GET /x"),
        ("http://a", "GET /"),
        ("http://a?x", "GET /?x"),
        ("http://a?", "GET /?"),
        ("https://a?/../x", "GET /?/../x"),
        ("http://a?http://b/", "GET /?http://b/"),
        ("https://a/x", "GET /x"),
    ] {
        table.served(request(target.as_bytes()), seen);
    }
    table.refused(400, "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n");
    table.refused(400, request(b"/\xe9"));
    table.refused(400, request(b"/\xff\xfe"));
    table.refused(400, request(b"/x?\x80"));
    table
}

pub fn methods() -> Table {
    let mut table = Table::new("methods");
    for line in ["CONNECT a:443", "CONNECT a", "CONNECT /x", "CONNECT *", "CONNECT http://a/", "CONNECT 127.0.0.1:22"] {
        table.refused(405, format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}"));
        table.refused(405, format!("{line} HTTP/1.0\r\nHost: a\r\n\r\n{SMUGGLED}"));
    }
    for fields in ["Content-Length: 5\r\n", "Upgrade: websocket\r\nConnection: Upgrade\r\n"] {
        table.refused(405, format!("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n{fields}\r\nhello{SMUGGLED}"));
    }
    for method in ["connect", "Connect", "TRACK", "DEBUG", "PURGE", "PRI"] {
        table.served(format!("{method} /x HTTP/1.1\r\nHost: a\r\n\r\n"), &format!("{method} /x"));
    }
    table.refused(405, format!("TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}"));
    table.refused(405, "TRACE /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    table
}

pub fn hosts() -> Table {
    let mut table = Table::new("hosts");
    for fields in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a\r\nX: y\r\nHOST: a\r\n",
        "Host: a\r\nHost:\r\n",
        "Host:\r\nHost: a\r\n",
        "Host: a, b\r\n",
        "Host: a,b\r\n",
        "Host: a b\r\n",
        "Host: a\tb\r\n",
        "Host: a/x\r\n",
        "Host: a?x\r\n",
        "Host: a#x\r\n",
        "Host: a\\x\r\n",
        "Host: u@a\r\n",
        "Host: a@b:80\r\n",
        "Host: http://a\r\n",
        "Host: \"a\"\r\n",
        "Host: a;b\r\n",
        "Host: a%00\r\n",
        "Host: %61\r\n",
        "Host: a\u{e9}\r\n",
        "Host: \u{ff41}\r\n",
        "Host: <a>\r\n",
        "Host: {a}\r\n",
        "Host: $(a)\r\n",
        "Host: '\r\n",
        "Host: *\r\n",
    ] {
        table.refused(400, format!("GET /x HTTP/1.1\r\n{fields}\r\n{SMUGGLED}"));
    }
    for line in
        ["Host : a", "Host\t: a", " Host: a", "Host a", "Host: a\r\n b", "Host:\r\n a", "Host: a\0", "Host: a\nX: y"]
    {
        table.refused(400, format!("GET /x HTTP/1.1\r\n{line}\r\n\r\n{SMUGGLED}"));
    }
    for host in [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        ":",
        ":80",
        "a:",
        "a:b",
        "a:-1",
        "a:65536",
        "a:99999999999",
        "a:1:2",
        "::1",
        "[::1",
        "[a]",
        "[]",
        "[::1]x",
        "[::1]:",
        "[1::2::3]",
        "a]",
        "[::1]:80:80",
    ] {
        table.refused(400, format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n{SMUGGLED}"));
    }
    for host in ["A", "a.", "a:80", "A.EXAMPLE.:080", "[::1]", "[::1]:443", "127.0.0.1", "_x.a", "xn--a", "-a"] {
        table.served(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n"), "GET /x");
    }
    for name in ["X-Host", "X_Host", "Host1", "X-Forwarded-Host", "Forwarded"] {
        table.served(format!("GET /x HTTP/1.1\r\nHost: a\r\n{name}: evil.example\r\n\r\n"), "GET /x");
    }
    // Absolute-form and `Host` say the same, or nothing is served.
    for (target, host) in [("http://a/x", "b"), ("http://a/x", ""), ("http://a:80/x", "a"), ("http://a/x", "a:80")] {
        table.refused(400, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n{SMUGGLED}"));
    }
    table.refused(400, format!("GET http://a/x HTTP/1.1\r\n\r\n{SMUGGLED}"));
    table
}
