//! The service behind Portcullis: good and bad, by path.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Starts it; it ends with this process.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = std::thread::Builder::new().stack_size(64 * 1024).spawn(move || serve(stream));
        }
    });
    address
}

fn serve(stream: TcpStream) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::with_capacity(1024, stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            head.push_str(&line);
        }
        let target = head.split(' ').nth(1)?;
        match target {
            "/silent" => {
                // Until Portcullis has had enough.
                let _ = reader.read_to_end(&mut Vec::new());
                return None;
            }
            "/deaf" => {
                let _ = writer.set_read_timeout(Some(Duration::from_secs(60)));
                // Reads nothing, and looks every now and then whether the other side has gone.
                for _ in 0..120 {
                    std::thread::sleep(Duration::from_millis(500));
                    if writer.take_error().ok().flatten().is_some() {
                        return None;
                    }
                }
                return None;
            }
            "/garbage" => {
                let _ = writer.write_all(
                    &[&b"HTTP/1.1 200 OK\r\nContent-Length: \xff\xff\r\nx"[..], &[b'a'; 32 * 1024]].concat(),
                );
                return None;
            }
            "/large" => {
                writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").ok()?;
                for _ in 0..16 * 1024 {
                    writer.write_all(&[b'x'; 64 * 1024]).ok()?;
                }
            }
            _ => {
                std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).ok()?;
                writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").ok()?;
            }
        }
    }
}
