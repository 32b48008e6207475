//! The processes that are measured, and the ones that they need.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::ports::{free_address, wait_for};
use crate::process::Contestant;
use crate::work::Work;

/// Starts origin, store and contestants.
pub(crate) fn start(folder: &Path, work: &Work) -> Vec<Contestant> {
    let origin = work.origin;
    let mut running = vec![nginx(
        folder,
        "origin",
        1,
        origin,
        &format!(
            "server {{ listen {origin} backlog=4096; location / {{ add_header X-Seen $http_x_auth_subject; default_type text/plain; return 200 '{}'; }} }}",
            "x".repeat(1024)
        ),
    )];
    let front = free_address();
    running.push(nginx(folder, "nginx", 0, front, &format!(
        "upstream origin {{ server {origin}; keepalive 64; }}
         server {{ listen {front} backlog=4096; location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header X-Auth-Subject ''; }} }}"
    )));
    running.push(portcullis(folder, work));
    for contestant in &running {
        wait_for(contestant.address);
    }
    running
}

fn nginx(folder: &Path, name: &'static str, core: usize, address: SocketAddr, http: &str) -> Contestant {
    let folder = folder.join(name);
    std::fs::create_dir_all(folder.join("logs")).expect("a folder");
    let file = folder.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/error.log warn;
         events {{ worker_connections 4096; }}
         http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
           client_body_temp_path {0}/c; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
           {http} }}",
        folder.display()
    );
    std::fs::write(&file, text).expect("a configuration");
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let child = Command::new("taskset")
        .env("PATH", path)
        .args(["-c", &core.to_string(), "nginx", "-p"])
        .arg(&folder)
        .arg("-c")
        .arg(&file)
        .stdin(Stdio::null())
        .spawn()
        .expect("nginx starts");
    Contestant { name, address, child }
}

fn portcullis(folder: &Path, work: &Work) -> Contestant {
    let address = free_address();
    let file = folder.join("portcullis.toml");
    std::fs::write(&file, work.configuration(address)).expect("a configuration");
    let child = Command::new("taskset")
        .args(["-c", "0", env!("CARGO_BIN_EXE_portcullis"), "run", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(folder.join("portcullis.log")).expect("a log"))
        .spawn()
        .expect("portcullis starts");
    Contestant { name: "portcullis", address, child }
}
