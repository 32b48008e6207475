use std::net::TcpListener;

use super::*;

fn started(program: &Program) -> Heir {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let label = Label { purpose: "listener.main".to_owned(), bind: "127.0.0.1:0".to_owned() };
    Heir::start(program, &[(label, OwnedFd::from(listener))]).unwrap()
}

fn lives(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn one_that_says_nothing_is_not_waited_for_and_ended() {
    let mut heir = started(&Program::new("/bin/sh", &["-c", "exec sleep 600"]));
    let pid = heir.id();
    let why = heir.ready(Duration::from_millis(50)).await.unwrap_err();
    assert!(why.contains("not ready within"), "{why}");
    assert!(lives(pid));
    drop(heir);
    assert!(!lives(pid));
}

#[tokio::test]
async fn one_that_ends_tells_by_its_exit_code() {
    let mut heir = started(&Program::new("/bin/sh", &["-c", "exit 7"]));
    let pid = heir.id();
    let why = heir.ready(Duration::from_secs(20)).await.unwrap_err();
    assert!(why.contains("exit status: 7"), "{why}");
    assert!(!lives(pid));
}

#[tokio::test]
async fn what_it_says_is_understood_or_refused() {
    let says = |text: &str| Program::new("/bin/sh", &["-c", &format!("echo '{text}' >&0; exec sleep 600")]);
    let mut heir = started(&says(r#"{"ready":{"taken":["health"]}}"#));
    assert_eq!(heir.ready(Duration::from_secs(20)).await.unwrap(), ["health"]);
    let mut heir = started(&says(r#"{"failed":"no luck"}"#));
    assert_eq!(heir.ready(Duration::from_secs(20)).await.unwrap_err(), "no luck");
    let mut heir = started(&says("ready"));
    assert!(heir.ready(Duration::from_secs(20)).await.unwrap_err().contains("cannot be understood"));
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let why = Heir::start(&Program::new("/no/such/program", &[]), &[]).err().unwrap();
    assert!(why.contains("/no/such/program"), "{why}");
}
