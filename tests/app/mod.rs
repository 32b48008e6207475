//! The whole of it as a library: how it starts, and how it ends.

mod certificates;
mod reload;
mod reload_process;
mod reload_streams;
mod upgrade;
mod upgrade_failures;
mod workload;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use portcullis::app::{App, Drained, Options, Running, StartError};
use portcullis::config;

use crate::harness::http::{Wire, get};
use crate::harness::upstream::Upstream;

fn start(text: &str, overrides: &[&str]) -> Result<Running, StartError> {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let loaded = config::parse(text, "test.toml", Path::new("."), &overrides).expect("a good configuration");
    App::start(loaded.settings, Options::default())
}

fn open_to_all(upstream: &Upstream) -> String {
    format!(
        "listener.main.bind = \"127.0.0.1:0\"\nhealth.bind = \"127.0.0.1:0\"\ndefaults.upstream = \"{}\"\n\
         server.shutdown_grace = \"30s\"\n[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\n",
        upstream.url()
    )
}

fn main_address(running: &Running) -> SocketAddr {
    running.address("main").expect("the listener is open")
}

#[test]
fn it_serves_with_any_number_of_workers_and_dropping_it_frees_its_ports() {
    let upstream = Upstream::start();
    for workers in ["1", "3"] {
        let set = format!("server.workers={workers}");
        let running = start(&open_to_all(&upstream), &[&set]).unwrap();
        assert_eq!(running.worker_count().to_string(), workers);
        let (address, health) = (main_address(&running), running.health_address().unwrap());
        for _ in 0..5 {
            assert_eq!(get(address, "/", "").status, 200);
        }
        drop(running);
        assert!(TcpStream::connect(address).is_err() && TcpStream::connect(health).is_err());
    }
}

#[tokio::test]
async fn a_connection_without_requests_does_not_delay_the_end() {
    let upstream = Upstream::start();
    let running = start(&open_to_all(&upstream), &[]).unwrap();
    assert!(running.ready().await);
    let mut idle = Wire::connect(main_address(&running));
    assert_eq!(idle.exchange("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").status, 200);
    let drained = tokio::time::timeout(Duration::from_secs(20), running.shutdown()).await;
    assert_eq!(drained, Ok(Drained::Completely));
    assert!(idle.is_closed());
}

#[tokio::test]
async fn what_is_in_flight_after_the_grace_is_cut_off() {
    let (arrived, arrives) = std::sync::mpsc::channel();
    let upstream = Upstream::answering(move |_| {
        arrived.send(()).expect("the test waits");
        // Longer than any grace; the thread ends with the test process.
        std::thread::sleep(Duration::from_secs(3600));
        Vec::new()
    });
    let running = start(&open_to_all(&upstream), &["server.shutdown_grace=10ms"]).unwrap();
    let mut client = Wire::connect(main_address(&running));
    client.write("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    arrives.recv_timeout(Duration::from_secs(20)).expect("the request reaches the upstream");
    assert_eq!(running.shutdown().await, Drained::CutOff);
    assert!(client.read_answer().is_none(), "nothing is answered that did not happen");
}

#[test]
fn an_occupied_port_opens_nothing_else() {
    let upstream = Upstream::start();
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let set = format!("health.bind={}", occupied.local_addr().unwrap());
    let problem = start(&open_to_all(&upstream), &[&set]).err().expect("it is refused");
    assert!(matches!(problem, StartError::Failed(_)), "{problem}");
}

#[test]
fn a_second_instance_does_not_share_the_port_unnoticed() {
    let upstream = Upstream::start();
    let first = start(&open_to_all(&upstream), &[]).unwrap();
    let set = format!("listener.main.bind={}", main_address(&first));
    let problem = start(&open_to_all(&upstream), &[&set]).err().expect("it is refused");
    assert!(matches!(problem, StartError::Failed(_)), "{problem}");
    assert!(problem.to_string().contains(&main_address(&first).to_string()), "{problem}");
}

#[test]
fn an_issuer_that_cannot_be_reached_does_not_delay_the_start() {
    let upstream = Upstream::start();
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!(
        "[issuer.main]\nurl = \"https://id.example.com\"\naudiences = [\"a\"]\n\
         keys = {{ jwks_url = \"http://{}/jwks\" }}\n",
        silent.local_addr().unwrap()
    );
    let running = start(&format!("{}{issuer}", open_to_all(&upstream)), &[]).unwrap();
    assert_eq!(get(main_address(&running), "/", "").status, 200);
}
