//! The server in this process: all that the tools know of mailrace itself.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use super::error::ToolError;

/// Password of the users that are made for a server of the tools' own.
pub const PASSWORD: &str = "bench";

/// A server on a free loopback port, with a data folder that goes when it goes.
pub struct LocalServer {
    address: SocketAddr,
    _folder: TempDir,
}

/// How such a server is started.
pub struct LocalOptions<'a> {
    /// Folder in which the data folder is made; the system's when there is none.
    pub temp: Option<&'a Path>,
    /// Reactors; one per core when there is no number.
    pub reactors: Option<usize>,
    /// Octets of a segment; the server's own choice when there is no number.
    pub segment_size: Option<u64>,
    /// Users to make, with [`PASSWORD`].
    pub users: Vec<String>,
}

impl LocalServer {
    /// Makes the folder and the users, and starts the server.
    pub fn start(options: &LocalOptions<'_>) -> Result<LocalServer, ToolError> {
        let _ = (options.reactors, options.segment_size, &options.users, temp_dir(options.temp)?);
        Err(ToolError::Server("no server in this build".into()))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many fdatasyncs it has done.
    pub fn fdatasyncs(&self) -> u64 {
        0
    }

    /// Ends it and removes its data.
    pub fn stop(self) -> Result<(), ToolError> {
        Ok(())
    }
}

/// A new folder that goes when it is dropped, in `parent` or where the system has such.
pub fn temp_dir(parent: Option<&Path>) -> Result<TempDir, ToolError> {
    let system = std::env::temp_dir();
    let parent = parent.unwrap_or(&system);
    let made = tempfile::Builder::new().prefix("mailrace-").tempdir_in(parent);
    made.map_err(|error| ToolError::Io {
        doing: format!("making a folder in {}", parent.display()),
        error,
    })
}
