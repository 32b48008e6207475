//! More requests than one worker can answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::http;
use crate::harness::portcullis::{Portcullis, Setup};

/// Clients that ask at once, requests of each, and how often they do so at most.
const CLIENTS: usize = 400;
const REQUESTS: usize = 20;
const ROUNDS: usize = 50;

fn start(shed_above: &str) -> Portcullis {
    Setup::new().start_with(
        &format!("server.shed_above = \"{shed_above}\""),
        "[route]\napp = { match = \"/\", accept = \"jwt\", upstream = \"http://127.0.0.1:9\" }",
    )
}

/// Every client sends all its requests, then reads all answers: their heads.
fn rush(to: SocketAddr) -> Vec<String> {
    let request = |connection: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
    let requests = request("keep-alive").repeat(REQUESTS - 1) + &request("close");
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| TcpStream::connect(to).unwrap()).collect();
    for mut client in &clients {
        client.write_all(requests.as_bytes()).unwrap();
    }
    let mut heads = Vec::new();
    for mut client in clients {
        let mut answers = String::new();
        client.read_to_string(&mut answers).unwrap();
        heads.extend(answers.split("HTTP/1.1 ").skip(1).map(str::to_owned));
    }
    heads
}

#[test]
fn beyond_capacity_some_are_told_to_come_back_and_then_all_are_served_again() {
    let portcullis = start("1ms");
    let refused = (0..ROUNDS).find_map(|_| {
        let heads = rush(portcullis.address());
        assert_eq!(heads.len(), CLIENTS * REQUESTS, "every request is answered");
        heads.into_iter().find(|head| !head.starts_with("401"))
    });
    let refused = refused.expect("that much at once is an overload").to_ascii_lowercase();
    assert!(refused.starts_with("503") && refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(refused.contains("urn:portcullis:overloaded"), "{refused}");
    let calm = (0..1000).any(|_| http::get(portcullis.address(), "/", "").status == 401);
    assert!(calm, "alone, a client is no overload");
}

#[test]
fn shedding_can_be_switched_off() {
    let portcullis = start("off");
    for _ in 0..5 {
        let heads = rush(portcullis.address());
        assert!(heads.len() == CLIENTS * REQUESTS && heads.iter().all(|head| head.starts_with("401")));
    }
}
