//! The server in this process: all that the tools know of mailrace itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::certificate::SelfSigned;
use super::error::ToolError;
use crate::auth::{Kept, Password, Users};
use crate::net::TlsFiles;
use crate::server::{Config, Server, StartError};
use client::Trust;

/// Password of the users that are made for a server of the tools' own.
pub const PASSWORD: &str = "bench";

/// A server on a free loopback port, with a data folder that goes when it goes.
pub struct LocalServer {
    server: Server,
    trust: Option<Trust>,
    _folder: TempDir,
}

/// How such a server is started.
pub struct LocalOptions<'a> {
    /// Folder in which the data folder is made; the system's when there is none.
    pub temp: Option<&'a Path>,
    /// Reactors; one per core when there is no number.
    pub reactors: Option<usize>,
    /// Octets of a segment; the server's own choice when there is no number.
    pub segment_size: Option<u32>,
    /// Users to make, with [`PASSWORD`].
    pub users: Vec<String>,
    /// It takes connections by TLS, with a certificate made for it.
    pub tls: bool,
}

impl LocalServer {
    /// Makes the folder and the users, and starts the server.
    pub fn start(options: &LocalOptions<'_>) -> Result<LocalServer, ToolError> {
        let folder = temp_dir(options.temp)?;
        let data = folder.path().to_owned();
        let users = Users::open(&data).map_err(StartError::Users)?;
        for name in &options.users {
            users
                .add(name, &Password::new(PASSWORD.as_bytes()), None, Kept::HashOnly)
                .map_err(StartError::Users)?;
        }
        let (tls, trust) = match options.tls {
            true => certificate(folder.path()).map(|(files, trust)| (Some(files), Some(trust)))?,
            false => (None, None),
        };
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let defaults = Config::default();
        let server = Server::start(Config {
            data,
            listen: any_port,
            tls_listen: tls.as_ref().map(|_| any_port),
            tls,
            reactors: options.reactors,
            segment_size: options.segment_size.unwrap_or(defaults.segment_size),
            ..defaults
        })?;
        server.wait_until_settled();
        Ok(LocalServer { server, trust, _folder: folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where it listens by TLS, and whom to trust there; only if it was asked for.
    pub fn by_tls(&self) -> Option<(SocketAddr, &Trust)> {
        self.server.tls_address().zip(self.trust.as_ref())
    }

    /// How many fdatasyncs it has done.
    pub fn fdatasyncs(&self) -> u64 {
        self.server.stats().fdatasyncs
    }

    /// Ends it and removes its data.
    pub fn stop(self) -> Result<(), ToolError> {
        Ok(self.server.stop()?)
    }
}

fn certificate(folder: &Path) -> Result<(TlsFiles, Trust), ToolError> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let made = SelfSigned::new(&["localhost".into()], 1)?;
    made.write(&certificate, &key)?;
    let trust = Trust::new(made.certificate.as_bytes(), "localhost")?;
    Ok((TlsFiles { certificate, key, client_authorities: None }, trust))
}

/// A new folder that goes when it is dropped, in `parent` or where the system has such.
pub fn temp_dir(parent: Option<&Path>) -> Result<TempDir, ToolError> {
    let system = std::env::temp_dir();
    let parent = parent.unwrap_or(&system);
    // A server takes away what others may do with its folder, and says so: here there is nothing.
    let only_ours = std::fs::Permissions::from_mode(0o700);
    let made =
        tempfile::Builder::new().prefix("mailrace-").permissions(only_ours).tempdir_in(parent);
    let doing = || format!("making a folder in {}", parent.display());
    made.map_err(|error| ToolError::Io { doing: doing(), error })
}
