//! The server under test, and what it says of itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kit::{Client, Folder, PASSWORD};
use mailrace::limits::{RESERVE, RESERVES, SPARE};

use crate::{MIB, Options};

/// Segments that are prepared ahead.
const AHEAD: u64 = 2;

/// A server on a folder of its own.
pub struct Server {
    running: kit::Server,
    admin: SocketAddr,
    folder: Folder,
}

impl Server {
    /// With users `u0`, `u1` and so on.
    pub fn new(options: &Options, users: usize) -> Server {
        let folder = Folder::empty();
        for user in 0..users {
            folder.add_user(&format!("u{user}"), PASSWORD, &[]);
        }
        let (size, reactors) =
            (format!("{}M", options.segment_size / MIB), options.reactors.to_string());
        let flags = ["--segment-size", &size, "--segments-ahead", "2", "--reactors", &reactors];
        let flags = [&flags[..], &["--log", "warn", "--admin", "127.0.0.1:0"]].concat();
        let running = kit::Server::with(&folder, &flags);
        Server { admin: running.admin(), running, folder }
    }

    pub fn login(&self, user: usize) -> Client {
        let mut client = self.running.connect();
        client.ok(&format!("LOGIN u{user} {PASSWORD}"));
        client
    }

    /// The data folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path()
    }

    /// The value of a metric.
    pub fn metric(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(self.admin).expect("the admin endpoint");
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        let values = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        let values = values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum::<f64>() as u64
    }

    /// Ends the server, and has its folder verified.
    pub fn verify(self) {
        let status = self.running.terminate();
        assert!(status.success(), "{status}");
        let output = kit::command(&["verify", "--data"]).arg(self.folder.path()).output();
        let output = output.expect("the binary");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && report.contains("no damage found"), "{report}");
    }
}

/// What the folder may take with this much living mail, in bytes.
pub fn bound(options: &Options, live: u64) -> u64 {
    let reserves = RESERVES as u64 * options.reactors * u64::from(RESERVE);
    let pool = AHEAD * options.segment_size + reserves + SPARE;
    live * 5 / 4 + 4 * options.reactors * options.segment_size + pool
}

/// Bytes that a file or a folder takes on the disk.
pub fn size(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return 0 };
    let inside = match metadata.is_dir() {
        true => std::fs::read_dir(path)
            .map_or(0, |entries| entries.flatten().map(|entry| size(&entry.path())).sum()),
        false => 0,
    };
    metadata.blocks() * 512 + inside
}
