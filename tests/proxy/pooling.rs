//! Which connections to an upstream carry requests of more than one client.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::harness::http::get;
use crate::harness::portcullis::Portcullis;

/// An upstream that answers with the number of the connection, and these field lines (each with its CRLF).
fn start(fields: &'static str) -> Portcullis {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for (number, mut stream) in listener.incoming().flatten().enumerate() {
            std::thread::spawn(move || {
                let Ok(reader) = stream.try_clone() else { return };
                for line in BufReader::new(reader).lines() {
                    let Ok(line) = line else { return };
                    let body = number.to_string();
                    if line.is_empty()
                        && write!(stream, "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
                            .is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    Portcullis::start(&format!(
        "[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"http://{address}\""
    ))
}

#[test]
fn f60_what_authenticates_a_connection_keeps_it_from_everybody_else() {
    let connections = |portcullis: &Portcullis, fields: &str| -> Vec<String> {
        // Three clients, one after the other.
        (0..3).map(|_| get(portcullis.address(), "/x", fields).body).collect()
    };
    let plain = start("");
    assert_eq!(connections(&plain, ""), ["0", "0", "0"], "connections are used again");
    for credential in ["NTLM TlRMTVNTUAAB", "Negotiate YII", "negotiate YII", "Kerberos x"] {
        let seen = connections(&start(""), &format!("Authorization: {credential}\r\n"));
        assert_eq!(seen, ["0", "1", "2"], "{credential}");
    }
    for fields in [
        "WWW-Authenticate: NTLM\r\n",
        "WWW-Authenticate: Basic realm=\"x\", Negotiate\r\n",
        "WWW-Authenticate: Basic\r\nWWW-Authenticate: negotiate YII\r\n",
        "Proxy-Authenticate: NTLM\r\n",
    ] {
        assert_eq!(connections(&start(fields), ""), ["0", "1", "2"], "{fields}");
    }
}
