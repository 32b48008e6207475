//! A new process takes the place of the one that serves: under load, with requests and streams under way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::reload_process::{Load, PATIENCE, serving};
use crate::harness::http::{Wire, get};
use crate::harness::process::{Serving, folder, portcullis};
use crate::harness::upstream::Upstream;

/// A process that was started in place of another; it is killed when dropped.
pub(super) struct Successor(Pid);

impl Successor {
    /// The one that was started after so many others.
    #[track_caller]
    pub(super) fn of(serving: &Serving, others: usize) -> Self {
        let line = serving.says_after("upgrade: a new process is started pid=", others);
        let pid = line.rsplit("pid=").next().and_then(|pid| pid.parse().ok());
        Self(pid.and_then(Pid::from_raw).expect("a process id"))
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.0, signal).expect("it still runs");
    }

    pub(super) fn id(&self) -> u32 {
        self.0.as_raw_nonzero().get().try_into().expect("a process id")
    }

    pub(super) fn lives(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.id()));
        // One that nobody has waited for yet is dead.
        status.is_ok_and(|status| !status.contains(") Z "))
    }

    #[track_caller]
    pub(super) fn ended(&self, serving: &Serving) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.lives() {
            assert!(std::time::Instant::now() < deadline, "it does not end:\n{}", serving.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if self.lives() {
            let _ = kill_process(self.0, Signal::KILL);
        }
    }
}

/// The process that answers on the admin socket.
pub(super) fn pid_of(socket: &Path) -> u32 {
    let mut admin = Wire::over(UnixStream::connect(socket).expect("the admin socket"));
    let status = admin.exchange("GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").json();
    assert_eq!(status["phase"], "ready", "{status}");
    status["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process id")
}

/// A service whose answers go on until they are told to end.
struct Endless {
    address: SocketAddr,
    begun: mpsc::Receiver<TcpStream>,
}

impl Endless {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (begins, begun) = mpsc::channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).unwrap_or(0) == 0 {
                        break;
                    }
                    head.push(byte[0]);
                }
                let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
                let _ = stream.write_all(format!("{answer}a\r\ndata: hi\n\n\r\n").as_bytes());
                let _ = begins.send(stream);
            }
        });
        Self { address, begun }
    }

    fn end(mut stream: TcpStream) {
        stream.write_all(b"b\r\ndata: bye\n\n\r\n0\r\n\r\n").expect("somebody reads");
    }
}

#[test]
fn no_request_fails_in_three_upgrades_under_load() {
    let upstream = Upstream::forgetful();
    let (_guard, here, _, mut serving) = serving(&upstream);
    let load = Load::start(serving.address("clear"), serving.address("tls"), &here);
    let socket = here.join("admin.sock");
    load.goes_on(50);
    assert_eq!(pid_of(&socket), serving.id());
    serving.signal(Signal::USR2);
    let first = Successor::of(&serving, 0);
    serving.says("took the place of the process before");
    load.goes_on(100);
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
    assert_eq!(pid_of(&socket), first.id());

    let mut before = first;
    for count in 1..3 {
        before.signal(Signal::USR2);
        let next = Successor::of(&serving, count);
        serving.says_after("took the place of the process before", count);
        load.goes_on(100);
        before.ended(&serving);
        assert_eq!(pid_of(&socket), next.id());
        before = next;
    }
    load.goes_on(50);
    let asked = load.stop();
    println!("{asked} requests during 3 upgrades");
    let health = get(serving.health(), "/readyz", "");
    assert_eq!(health.status, 200, "{}", health.body);
    before.signal(Signal::TERM);
    before.ended(&serving);
    assert!(!socket.exists(), "the last one takes the file with it");
    assert!(TcpStream::connect(serving.address("clear")).is_err());
    assert_eq!(serving.log().matches(" ended\n").count() + usize::from(serving.log().ends_with(" ended")), 4);
}

#[test]
fn what_the_old_process_has_begun_it_ends_and_then_itself() {
    let endless = Endless::start();
    let text = format!(
        "server = {{ workers = 1, watch = false, shutdown_grace = \"10m\" }}\nadmin.socket = \"admin.sock\"\n\
         listener.main.bind = \"127.0.0.1:0\"\nlistener.local.bind = \"unix:local.sock\"\n\
         defaults.upstream = \"http://{}\"\n[route.all]\nlisteners = [\"main\", \"local\"]\nmatch = \"/{{*rest}}\"\n\
         accept = \"anyone\"\n",
        endless.address
    );
    let (_guard, here) = folder(&text);
    let mut serving = Serving::run(&here).ready();
    let request = "GET /events HTTP/1.1\r\nHost: a.example\r\nAccept: text/event-stream\r\n\r\n";
    let mut old = Wire::connect(serving.address("main"));
    old.write(request);
    old.read_until("data: hi");
    let in_old = endless.begun.recv_timeout(PATIENCE).expect("it has begun");

    serving.signal(Signal::USR2);
    let successor = Successor::of(&serving, 0);
    serving.says("the new process accepts");
    let mut new = Wire::connect(serving.address("main"));
    new.write(request);
    new.read_until("data: hi");
    let in_new = endless.begun.recv_timeout(PATIENCE).expect("it has begun");
    let mut local = Wire::over(UnixStream::connect(here.join("local.sock")).expect("the file is still there"));
    local.write(request);
    local.read_until("data: hi");

    // One after the other: each ends the process that it is the last of.
    Endless::end(in_old);
    old.read_until("data: bye");
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
    assert_eq!(pid_of(&here.join("admin.sock")), successor.id());
    Endless::end(in_new);
    new.read_until("data: bye");
    assert!(here.join("local.sock").exists());
    drop(local);
    successor.signal(Signal::TERM);
    successor.ended(&serving);
    assert!(!here.join("local.sock").exists() && !here.join("admin.sock").exists());
}

/// A listener of this name and bind, and nothing behind it.
fn listening(listeners: &[(&str, &str)]) -> String {
    let head =
        "server = { workers = 1, watch = false }\nadmin.socket = \"admin.sock\"\nhealth.bind = \"127.0.0.1:0\"\n";
    let listeners: String =
        listeners.iter().map(|(name, bind)| format!("[listener.{name}]\nbind = \"{bind}\"\n")).collect();
    format!(
        "{head}{listeners}[route.all]\nlisteners = [\"main\"]\nmatch = \"/\"\naccept = \"anyone\"\nupstream = \"http://127.0.0.1:1\"\n"
    )
}

#[test]
fn listeners_that_the_new_configuration_has_not_are_closed_and_others_opened() {
    let any = "127.0.0.1:0";
    let (_guard, here) = folder(&listening(&[("main", any), ("gone", any), ("file", "unix:gone.sock")]));
    let mut serving = Serving::run(&here).ready();
    let (main, gone) = (serving.address("main"), serving.address("gone"));
    let text = listening(&[("main", &main.to_string()), ("come", any)]);
    std::fs::write(here.join("portcullis.toml"), text).expect("a file can be written");
    serving.signal(Signal::USR2);
    let successor = Successor::of(&serving, 0);
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
    assert!(TcpStream::connect(gone).is_err(), "nobody is kept waiting where nobody accepts");
    assert!(!here.join("gone.sock").exists());
    assert_eq!(get(main, "/", "").status, 502);
    assert_eq!(get(serving.address("come"), "/", "").status, 404);
    drop(successor);
}

#[test]
fn the_service_manager_knows_which_process_it_is() {
    let (_guard, here) = folder(&listening(&[("main", "127.0.0.1:0")]));
    let manager = Manager::new(&here);
    let mut serving = Serving::start(portcullis(&here).args(["run"]).env("NOTIFY_SOCKET", &manager.path));
    assert_eq!(manager.hears(), "READY=1");
    serving.signal(Signal::HUP);
    assert!(manager.hears().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(manager.hears(), "READY=1");
    serving.signal(Signal::USR2);
    let successor = Successor::of(&serving, 0);
    assert_eq!(manager.hears(), format!("MAINPID={}", successor.id()));
    assert_eq!(manager.hears(), "READY=1");
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
    successor.signal(Signal::TERM);
    // Nothing of the old one in between: the service has not stopped with it.
    assert_eq!(manager.hears(), "STOPPING=1");
    successor.ended(&serving);
}

struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(folder: &Path) -> Self {
        let path = folder.join("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { socket, path }
    }

    #[track_caller]
    fn hears(&self) -> String {
        let mut text = [0; 200];
        let length = self.socket.recv(&mut text).expect("something is said");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }
}
