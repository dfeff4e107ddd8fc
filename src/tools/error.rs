//! Why a tool fails.

use std::io::{self, Write};

use rustix::io::Errno;
use thiserror::Error;

use crate::server::StartError;
use client::{ClientError, SourceError, TrustError};

/// Why a tool fails, in words for the user.
#[derive(Debug, Error)]
pub enum ToolError {
    /// The arguments contradict each other or ask for the impossible.
    #[error("{0}")]
    Usage(String),
    /// No certificate can be made for these names.
    #[error("cannot make a certificate for {names}: {source}")]
    Certificate {
        /// The names, separated by commas.
        names: String,
        /// The cause.
        source: rcgen::Error,
    },
    /// The mail to send cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The CA file or the host name of the server cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A server refused a command, or the connection broke.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server in this process did not start or stop.
    #[error(transparent)]
    Server(#[from] StartError),
    /// The peer is not a mailrace admin endpoint.
    #[error("{0}")]
    Answer(String),
    /// A server that uses the data folder does not do what it was asked for.
    #[error("{0}")]
    Refused(String),
    /// A file or thread of the tool failed.
    #[error("{doing}: {error}")]
    Io {
        /// What failed, such as "cannot write report.json".
        doing: String,
        /// The cause.
        #[source]
        error: io::Error,
    },
    /// The server does not hold what it acknowledged.
    #[error("the server does not hold what it acknowledged: {0}")]
    Differs(String),
}

/// Writes to standard output. A reader that closed the pipe has seen enough, which is no error.
///
/// # Errors
/// If it cannot be written.
pub fn say(text: &str) -> Result<(), ToolError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::PIPE) => {
            Err(ToolError::Io { doing: "cannot write to standard output".into(), error })
        }
        _ => Ok(()),
    }
}
