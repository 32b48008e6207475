//! The processes that are measured, each with one worker: whoever has a certificate of the CA is served, the others are not,
//! and the origin is told who it is.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::ports::{free_address, wait_for};
use crate::process::Contestant;

/// Starts the origin, and the contestants; the first is what the others are compared with.
pub(crate) fn start(folder: &Path, envoy: &Path) -> (Contestant, Vec<Contestant>) {
    let at = free_address();
    let seen = "$http_x_auth_subject$http_x_client$http_x_forwarded_client_cert";
    let body = "x".repeat(1024);
    let server = format!(
        "server {{ listen {at} backlog=4096; location / {{ add_header X-Seen \"{seen}\"; default_type text/plain; return 200 '{body}'; }} }}"
    );
    let origin = nginx(folder, "origin", "1", at, &server);
    wait_for(at);
    let running = vec![
        self::envoy(folder, envoy, at),
        portcullis(folder, at),
        self::nginx_proxy(folder, at),
        haproxy(folder, at),
    ];
    running.iter().for_each(|contestant| wait_for(contestant.address));
    (origin, running)
}

fn nginx_proxy(folder: &Path, origin: SocketAddr) -> Contestant {
    let (address, files) = (free_address(), folder.display());
    let http = format!(
        "upstream origin {{ server {origin}; keepalive 64; }}
         ssl_protocols TLSv1.3; ssl_ecdh_curve X25519; ssl_session_timeout 1h; ssl_session_cache shared:sessions:16m;
         ssl_certificate {files}/server.pem; ssl_certificate_key {files}/server.key;
         ssl_client_certificate {files}/ca.pem; ssl_verify_client on;
         server {{ listen {address} ssl backlog=4096; location / {{ proxy_pass http://origin; proxy_http_version 1.1;
           proxy_set_header Connection ''; proxy_set_header X-Client $ssl_client_s_dn; }} }}"
    );
    nginx(folder, "nginx", "0", address, &http)
}

fn nginx(folder: &Path, name: &'static str, core: &str, address: SocketAddr, http: &str) -> Contestant {
    let folder = folder.join(name);
    std::fs::create_dir_all(folder.join("logs")).expect("a folder");
    let file = folder.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/error.log crit;
         events {{ worker_connections 8192; }}
         http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
           client_body_temp_path {0}/c; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
           {http} }}",
        folder.display()
    );
    std::fs::write(&file, text).expect("a configuration");
    let mut command = pinned(core, "nginx");
    command.arg("-p").arg(&folder).arg("-c").arg(&file);
    spawn(name, address, command)
}

fn haproxy(folder: &Path, origin: SocketAddr) -> Contestant {
    let (address, files) = (free_address(), folder.display());
    let pair = ["server.pem", "server.key"].map(|name| std::fs::read_to_string(folder.join(name)).expect("a file"));
    std::fs::write(folder.join("both.pem"), pair.concat()).expect("a file can be written");
    let text = format!(
        "global\n nbthread 1\n maxconn 8192\n tune.ssl.cachesize 20000\n tune.ssl.lifetime 3600
         \ndefaults\n mode http\n timeout connect 5s\n timeout client 600s\n timeout server 600s\n http-reuse always
         \nfrontend main\n bind {address} backlog 4096 ssl crt {files}/both.pem ca-file {files}/ca.pem verify required ssl-min-ver TLSv1.3 curves X25519 alpn http/1.1
         \n http-request set-header X-Client %[ssl_c_s_dn]\n default_backend origin
         \nbackend origin\n server origin {origin}\n"
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, text).expect("a configuration");
    let mut command = pinned("0", "haproxy");
    command.arg("-db").arg("-q").arg("-f").arg(&file);
    spawn("haproxy", address, command)
}

fn envoy(folder: &Path, binary: &Path, origin: SocketAddr) -> Contestant {
    let (address, files) = (free_address(), folder.display());
    let text = format!(
        r#"
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    tcp_backlog_size: 4096
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            alpn_protocols: [http/1.1]
            tls_params: {{ tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3, ecdh_curves: [X25519] }}
            tls_certificates:
            - certificate_chain: {{ filename: {files}/server.pem }}
              private_key: {{ filename: {files}/server.key }}
            validation_context: {{ trusted_ca: {{ filename: {files}/ca.pem }} }}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          generate_request_id: false
          forward_client_cert_details: SANITIZE_SET
          set_current_client_cert_details: {{ uri: true }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: origin }} }}]
  clusters:
  - name: origin
    type: STATIC
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {origin_port} }} }} }} }}]
"#,
        port = address.port(),
        origin_port = origin.port(),
    );
    let file = folder.join("envoy.yaml");
    std::fs::write(&file, text).expect("a configuration");
    let mut command = pinned("0", &binary.display().to_string());
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]).arg(&file);
    spawn("envoy", address, command)
}

fn portcullis(folder: &Path, origin: SocketAddr) -> Contestant {
    let address = free_address();
    let text = format!(
        r#"
server = {{ workers = 1, shed_above = "off" }}
health.bind = "127.0.0.1:0"
log.access = false
listener.main.bind = "{address}"
listener.main.tls.certificates = [{{ chain = "server.pem", key = "server.key" }}]
listener.main.tls.client_auth = {{ mode = "required", ca = "ca.pem" }}
defaults.upstream = "http://{origin}"
[[mtls]]
match.uri = "spiffe://cluster.local/ns/{{ns}}/sa/{{sa}}"
subject = "{{ns}}/{{sa}}"
[route]
all = {{ match = "/{{*rest}}", accept = "mtls" }}
"#
    );
    let file = folder.join("portcullis.toml");
    std::fs::write(&file, text).expect("a configuration");
    let mut command = pinned("0", env!("CARGO_BIN_EXE_portcullis"));
    command.args(["run", "--config"]).arg(&file);
    command.stderr(std::fs::File::create(folder.join("portcullis.log")).expect("a log"));
    spawn("portcullis", address, command)
}

fn pinned(core: &str, program: &str) -> Command {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("taskset");
    command.env("PATH", path).args(["-c", core, program]).stdin(Stdio::null());
    command
}

fn spawn(name: &'static str, address: SocketAddr, mut command: Command) -> Contestant {
    let child = command.spawn().unwrap_or_else(|problem| panic!("{name} does not start: {problem}"));
    Contestant { name, address, child }
}
