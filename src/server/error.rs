//! Why a server does not start, or ended.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::auth::{TokenKeysError, UserError};
use crate::index::{CatalogError, ReplayError};
use crate::net::TlsError;
use crate::reactor::{ProbeError, RingError};
use crate::store::{LockError, LogError, RecoveryError};

/// Why a server does not start, or ended. The text says what to do.
#[derive(Debug)]
pub enum StartError {
    /// The kernel lacks something, or forbids it.
    Kernel(ProbeError),
    /// Reactors get no rings.
    Rings(RingError),
    /// The data folder cannot be used.
    Data(PathBuf, io::Error),
    /// Another server works on the data folder.
    Lock(LockError),
    /// The file of users makes no sense.
    Users(UserError),
    /// Certificate or key do not do.
    Tls(TlsError),
    /// The certificate is not valid now.
    Certificate(String),
    /// Listening by TLS wants certificate and key.
    NoCertificate(SocketAddr),
    /// The file of token keys makes no sense.
    Tokens(TokenKeysError),
    /// The log or the catalog cannot be read.
    Replay(ReplayError),
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The disk failed.
    Log(String),
    /// The files of the log were deleted or moved away while the server ran.
    Lost(String),
    /// A log has room for 65,535 reactors.
    TooManyReactors,
    /// The system refuses threads, memory or rings.
    System(io::Error),
    /// A reactor ended without a reason: a bug.
    Vanished,
}

impl StartError {
    /// Exit code of the process, after sysexits.h.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Kernel(_) => 69,
            StartError::Lost(_) => 72,
            StartError::Data(..) => 73,
            StartError::Lock(LockError::Held { .. }) => 75,
            StartError::Lock(_) | StartError::Listen(..) | StartError::Log(_) => 74,
            StartError::Users(_)
            | StartError::Tokens(_)
            | StartError::Tls(_)
            | StartError::Certificate(_)
            | StartError::NoCertificate(_) => 78,
            StartError::Replay(
                ReplayError::Catalog(CatalogError::Io { .. })
                | ReplayError::Log(RecoveryError::Io { .. }),
            ) => 74,
            StartError::Replay(_) => 65,
            StartError::TooManyReactors => 64,
            StartError::System(_) | StartError::Rings(_) => 71,
            StartError::Vanished => 70,
        }
    }

    pub(super) fn listen(address: SocketAddr, error: io::Error) -> StartError {
        StartError::Listen(address, error)
    }
}

impl From<LogError> for StartError {
    fn from(error: LogError) -> StartError {
        StartError::Log(error.to_string())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Kernel(error) => error.fmt(f),
            StartError::Rings(error) => error.fmt(f),
            StartError::Data(path, error) => {
                write!(f, "cannot use the folder {}: {error}", path.display())
            }
            StartError::Lock(error) => error.fmt(f),
            StartError::Users(error) => error.fmt(f),
            StartError::Tls(error) => write!(f, "{error}; see --tls-cert and --tls-key"),
            StartError::Certificate(what) => f.write_str(what),
            StartError::NoCertificate(address) => write!(
                f,
                "cannot listen on {address} by TLS without a certificate: give --tls-cert and \
                 --tls-key; `mailrace cert self-signed` makes both for a trial"
            ),
            StartError::Tokens(error) => write!(f, "{error}; see --oauth-keys"),
            StartError::Replay(error) => error.fmt(f),
            StartError::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}; see --listen and --tls-listen")
            }
            StartError::Log(why) => write!(f, "the log cannot be written: {why}"),
            StartError::Lost(why) => write!(
                f,
                "{why}: what is stored from now on would not be found again. Put the data folder \
                 back before the next start, which would begin an empty one"
            ),
            StartError::TooManyReactors => f.write_str("more than 65,535 reactors; see --reactors"),
            StartError::System(error) => {
                write!(f, "the operating system refused a resource: {error}")
            }
            StartError::Vanished => f.write_str("a reactor ended by a bug; the log says more"),
        }
    }
}

impl std::error::Error for StartError {}
