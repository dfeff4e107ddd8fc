//! A mailrace server in this process, for the tools that bring their own.

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

/// Password of the users on such a server.
pub(super) const PASSWORD: &str = "bench";

/// A server on a free loopback port, with a temporary data folder that it removes on drop.
pub(super) struct LocalServer {
    server: Server,
    trust: Option<Trust>,
    _folder: TempDir,
}

/// Options of a [`LocalServer`].
pub(super) struct LocalOptions<'a> {
    /// Parent of the data folder; by default the system's temporary folder.
    pub temp: Option<&'a Path>,
    /// Number of reactors; by default one per core.
    pub reactors: Option<usize>,
    /// Bytes of a segment; by default the server's default.
    pub segment_size: Option<u32>,
    /// Users to create, with [`PASSWORD`].
    pub users: Vec<String>,
    /// Also listen with TLS, with a certificate created for this server.
    pub tls: bool,
}

impl LocalServer {
    /// Creates the folder and the users, and starts the server.
    pub(super) fn start(options: &LocalOptions<'_>) -> Result<LocalServer, ToolError> {
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
            scrub_every: None,
            ..defaults
        })?;
        server.wait_until_settled();
        Ok(LocalServer { server, trust, _folder: folder })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where it listens with TLS, and the certificate to trust there; `None` without TLS.
    pub(super) fn by_tls(&self) -> Option<(SocketAddr, &Trust)> {
        self.server.tls_address().zip(self.trust.as_ref())
    }

    /// Number of fdatasyncs so far.
    pub(super) fn fdatasyncs(&self) -> u64 {
        self.server.stats().fdatasyncs
    }

    /// Stops it and removes its data.
    pub(super) fn stop(self) -> Result<(), ToolError> {
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

/// A new folder, removed on drop, in `parent` or the system's temporary folder.
pub(super) fn temp_dir(parent: Option<&Path>) -> Result<TempDir, ToolError> {
    let system = std::env::temp_dir();
    let parent = parent.unwrap_or(&system);
    // A server logs when it takes away permissions of others; with this mode it need not.
    let only_ours = std::fs::Permissions::from_mode(0o700);
    let made =
        tempfile::Builder::new().prefix("mailrace-").permissions(only_ours).tempdir_in(parent);
    let doing = || format!("cannot create a folder in {}", parent.display());
    made.map_err(|error| ToolError::Io { doing: doing(), error })
}
