//! Fetches the status from an admin endpoint, with the little HTTP that this needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::io::Errno;

use crate::observe::{STATUS_VERSION, Status};
use crate::tools::ToolError;

/// Timeout of each step, longer than any answer takes on one machine.
const PATIENCE: Duration = Duration::from_secs(3);

/// Largest answer in bytes; a hundred uploads and refusals with long names are a tenth of it.
const LARGEST: u64 = 4 << 20;

/// Fetches the status of the server with this endpoint.
pub(super) fn ask(admin: SocketAddr) -> Result<Status, ToolError> {
    let answer = exchange(admin).map_err(|error| {
        let doing = format!("cannot reach {admin} (does mailrace serve run there with --admin?)");
        ToolError::Io { doing, error }
    })?;
    status(&answer).map_err(|what| {
        ToolError::Answer(format!("{admin} is not a mailrace admin endpoint: {what}"))
    })
}

fn exchange(admin: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect_timeout(&admin, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let request =
        format!("GET /status.json HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    match socket.take(LARGEST).read_to_end(&mut answer) {
        // Timed out after a partial answer, whose start tells what the peer is.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::AGAIN) && !answer.is_empty() => {
            Ok(answer)
        }
        result => result.map(|_| answer),
    }
}

fn status(answer: &[u8]) -> Result<Status, String> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or("no head")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let line = head.lines().next().unwrap_or_default();
    if !(line.starts_with("HTTP/1.1 200") || line.starts_with("HTTP/1.0 200")) {
        return Err(crate::stats::harmless(line));
    }
    let body = &answer[end + 4..];
    let version = |error: serde_json::Error| error.to_string();
    let value: serde_json::Value = serde_json::from_slice(body).map_err(version)?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(STATUS_VERSION) => {}
        Some(other) => return Err(format!("its status has version {other}, not {STATUS_VERSION}")),
        None => return Err("its status has no version".into()),
    }
    serde_json::from_value(value).map_err(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_status_is_refused_in_words() {
        for (answer, why) in [
            (&b""[..], "no head"),
            (b"SSH-2.0\x1b[2J\r\n\r\n", "SSH-2.0\u{fffd}[2J"),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n{}", "HTTP/1.1 403 Forbidden"),
            (b"HTTP/1.1 200 OK\r\n\r\n{}", "its status has no version"),
            (b"HTTP/1.1 200 OK\r\n\r\n{\"version\":7}", "its status has version 7, not 1"),
            (b"HTTP/1.1 200 OK\r\n\r\n{\"version\":1}", "missing field"),
        ] {
            let error = status(answer).expect_err("no status");
            assert!(error.starts_with(why), "{error}");
        }
    }
}
