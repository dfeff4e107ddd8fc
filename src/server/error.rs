//! Why a server failed to start, or ended.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::auth::{TokenKeysError, UserError};
use crate::index::ReplayError;
use crate::net::TlsError;
use crate::reactor::{ProbeError, RingError};
use crate::store::{LockError, LogError};

/// Why a server does not start, or ended. The text says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The kernel lacks something, or forbids it.
    #[error(transparent)]
    Kernel(ProbeError),
    /// The kernel refused rings for the reactors.
    #[error(transparent)]
    Rings(RingError),
    /// The data folder cannot be used.
    #[error("cannot use the folder {path}: {1}", path = .0.display())]
    Data(PathBuf, #[source] io::Error),
    /// The folder is a backup, or a restore into it is not complete.
    #[error("{path} {1}", path = .0.display())]
    NoData(PathBuf, &'static str),
    /// Another server uses the data folder.
    #[error(transparent)]
    Lock(LockError),
    /// The users file cannot be used.
    #[error(transparent)]
    Users(UserError),
    /// Certificate or key cannot be used.
    #[error("{0}; see --tls-cert and --tls-key")]
    Tls(#[source] TlsError),
    /// The certificate is not valid now.
    #[error("{0}")]
    Certificate(String),
    /// A TLS listener needs certificate and key.
    #[error(
        "cannot listen on {0} with TLS without a certificate: pass --tls-cert and --tls-key; \
         `mailrace cert self-signed` makes both for a trial"
    )]
    NoCertificate(SocketAddr),
    /// The file of token keys cannot be used.
    #[error("{0}; see --oauth-keys")]
    Tokens(#[source] TokenKeysError),
    /// The log or the catalog cannot be read.
    #[error(transparent)]
    Replay(ReplayError),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}; see --listen and --tls-listen")]
    Listen(SocketAddr, #[source] io::Error),
    /// The disk failed.
    #[error("the log cannot be written: {0}")]
    Log(String),
    /// The files of the log were deleted or moved away while the server ran.
    #[error(
        "{0}: mail stored from now on would be lost. Put the data folder back before the next \
         start, which would otherwise begin with an empty one"
    )]
    Lost(String),
    /// A log has room for 65,535 reactors.
    #[error("more than 65,535 reactors; see --reactors")]
    TooManyReactors,
    /// The operating system refused threads, memory or rings.
    #[error("the operating system refused a resource: {0}")]
    System(#[source] io::Error),
    /// A reactor ended without a reason: a bug.
    #[error("a reactor stopped because of a bug; the log has more")]
    Vanished,
}

impl From<LogError> for StartError {
    fn from(error: LogError) -> StartError {
        StartError::Log(error.to_string())
    }
}
