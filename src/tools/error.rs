//! Why a tool ends without having done its work.

use std::io::Write;
use std::{fmt, io};

use crate::server::StartError;
use client::{ClientError, SourceError, TrustError};

/// What can go wrong in a tool, in words for whoever started it.
#[derive(Debug)]
pub enum ToolError {
    /// The arguments contradict each other, or ask for what cannot be.
    Usage(String),
    /// The mail to send cannot be read.
    Source(SourceError),
    /// The server's certificate authority or name cannot be used.
    Trust(TrustError),
    /// A server did not do what it was asked, or the connection broke.
    Client(ClientError),
    /// The server in this process did not start, or not stop.
    Server(StartError),
    /// What answered is no server of ours.
    Answer(String),
    /// A file or a thread of the tool's own.
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        error: io::Error,
    },
    /// The server holds something else than what it acknowledged.
    Differs(String),
}

/// Writes the result of a tool to standard output. Whoever has stopped reading has what he wanted.
///
/// # Errors
/// When it cannot be written.
pub(super) fn say(text: &str) -> Result<(), ToolError> {
    let written = writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(ToolError::Io { doing: "writing to standard output".into(), error })
        }
        _ => Ok(()),
    }
}

impl ToolError {
    /// Exit code of the process, after sysexits.h.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            ToolError::Usage(_) | ToolError::Trust(TrustError::Unusable { .. }) => 64,
            ToolError::Source(SourceError::Io { .. })
            | ToolError::Trust(TrustError::Read { .. })
            | ToolError::Io { .. } => 74,
            ToolError::Source(_) => 65,
            ToolError::Client(_) | ToolError::Differs(_) | ToolError::Answer(_) => 76,
            ToolError::Server(error) => error.exit_code(),
        }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToolError::Usage(text) | ToolError::Answer(text) => f.write_str(text),
            ToolError::Server(error) => error.fmt(f),
            ToolError::Trust(error) => error.fmt(f),
            ToolError::Source(error) => error.fmt(f),
            ToolError::Client(error) => error.fmt(f),
            ToolError::Io { doing, error } => write!(f, "{doing}: {error}"),
            ToolError::Differs(text) => {
                write!(f, "the server does not hold what it acknowledged: {text}")
            }
        }
    }
}

impl std::error::Error for ToolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ToolError::Trust(error) => Some(error),
            ToolError::Source(error) => Some(error),
            ToolError::Client(error) => Some(error),
            ToolError::Server(error) => Some(error),
            ToolError::Io { error, .. } => Some(error),
            ToolError::Usage(_) | ToolError::Answer(_) | ToolError::Differs(_) => None,
        }
    }
}

impl From<SourceError> for ToolError {
    fn from(error: SourceError) -> ToolError {
        ToolError::Source(error)
    }
}

impl From<TrustError> for ToolError {
    fn from(error: TrustError) -> ToolError {
        ToolError::Trust(error)
    }
}

impl From<ClientError> for ToolError {
    fn from(error: ClientError) -> ToolError {
        ToolError::Client(error)
    }
}

impl From<StartError> for ToolError {
    fn from(error: StartError) -> ToolError {
        ToolError::Server(error)
    }
}
