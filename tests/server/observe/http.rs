//! A minimal HTTP client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer takes on a busy machine. A test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header. Empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let header = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        header.map_or("", |(_, value)| value)
    }
}

/// A connection with a read timeout.
pub fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Asks for a path.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
        .unwrap_or_else(|| panic!("no answer to GET {path}"))
}

/// Asks for JSON.
pub fn json(address: SocketAddr, path: &str) -> serde_json::Value {
    serde_json::from_str(&get(address, path).body).unwrap()
}

/// Sends octets and reads to the end of the connection; `None` when it ends without an answer.
pub fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Option<Answer> {
    let mut socket = connect(address);
    // The server may refuse before it has read everything.
    let _ = socket.write_all(request.as_ref());
    rest(&mut socket)
}

/// Reads an answer that ends with its connection.
pub fn rest(socket: &mut TcpStream) -> Option<Answer> {
    let mut octets = Vec::new();
    // A reset after the answer is an end as well.
    let end = socket.read_to_end(&mut octets);
    if let Err(error) = &end {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    let text = String::from_utf8(octets).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { code, head: head.into(), body: body.into() })
}
