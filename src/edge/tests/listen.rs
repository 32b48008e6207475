use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::{Files, open, rest, run, settings, until};
use crate::model::settings::{Bind, ListenerSettings};

#[test]
fn an_occupied_port_is_an_error_that_names_it() {
    let first = open(settings(None)).unwrap();
    let address = first.local_addr().unwrap();
    let error = open(ListenerSettings { bind: Bind::Tcp(address), ..settings(None) }).unwrap_err().to_string();
    assert!(error.starts_with(&format!("listener.main: {address} is in use")), "{error}");
    drop(first);
    open(ListenerSettings { bind: Bind::Tcp(address), ..settings(None) }).unwrap();
}

#[test]
fn an_address_that_is_not_ours_is_an_error_that_says_so() {
    let elsewhere = Bind::Tcp("192.0.2.1:0".parse().unwrap());
    let error = open(ListenerSettings { bind: elsewhere, ..settings(None) }).unwrap_err().to_string();
    assert!(error.contains("no address of this machine"), "{error}");
}

#[test]
fn a_unix_socket_serves_and_is_removed_with_its_listener() {
    let files = Files::new();
    let path = files.0.path().join("edge.sock");
    let unix = ListenerSettings { bind: Bind::Unix(path.clone()), ..settings(None) };
    run(unix.clone(), |_server| {
        let (path, unix) = (path.clone(), unix.clone());
        async move {
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
            let error = open(unix).unwrap_err().to_string();
            assert!(error.contains("in use by another process"), "{error}");
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            let text = rest(&mut stream).await;
            assert!(text.contains("from=0.0.0.0"), "{text}");
        }
    });
    assert!(!path.exists());
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_file_is_not() {
    let files = Files::new();
    let path = files.0.path().join("edge.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let unix = ListenerSettings { bind: Bind::Unix(path), ..settings(None) };
    drop(open(unix).unwrap());

    let file = files.write("data", "precious");
    let error = open(ListenerSettings { bind: Bind::Unix(file.clone()), ..settings(None) }).unwrap_err().to_string();
    assert!(error.contains("that is no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
}

#[test]
fn connections_beyond_the_cap_are_closed_and_room_is_used_again() {
    let mut settings = settings(None);
    settings.limits.max_connections = 2;
    run(settings, |server| async move {
        let request = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut stream = server.connect().await;
            stream.write_all(request).await.unwrap();
            until(&mut stream, "tls=false\n").await;
            open.push(stream);
        }
        let mut third = server.connect().await;
        let mut nothing = Vec::new();
        // End or reset: it is closed without an answer.
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut third, &mut nothing).await;
        assert!(nothing.is_empty());

        let mut first = open.remove(0);
        first.write_all(b"GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        rest(&mut first).await;
        while server.listeners[0].connections() == 2 {
            tokio::task::yield_now().await;
        }
        assert!(server.exchange("GET /c HTTP/1.0\r\n\r\n").await.contains("GET /c"));
    });
}

#[test]
fn workers_share_one_socket() {
    let listeners = vec![Arc::new(open(settings(None)).unwrap())];
    let address = listeners[0].local_addr().unwrap();
    let drain = super::Drain::new();
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (listeners, drain) = (listeners.clone(), drain.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let teller = std::rc::Rc::<super::Teller>::default();
                tokio::task::LocalSet::new().block_on(&runtime, crate::edge::serve(listeners, teller, drain, None));
            })
        })
        .collect();
    for _ in 0..20 {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut stream, b"GET /x HTTP/1.0\r\n\r\n").unwrap();
        let text = std::io::read_to_string(stream).unwrap();
        assert!(text.contains("GET /x"), "{text}");
    }
    drain.begin();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert!(std::net::TcpStream::connect(address).is_err());
}
