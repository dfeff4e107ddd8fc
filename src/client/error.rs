//! What can go wrong between client and server. Every error keeps its cause.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::{fmt, io};

/// Why a command, or the connection, failed.
#[derive(Debug)]
pub enum ClientError {
    /// The server cannot be reached.
    Connect {
        /// Its address.
        address: SocketAddr,
        /// The cause.
        error: io::Error,
    },
    /// The connection broke, or the server was silent for two minutes.
    Io(io::Error),
    /// The server closed the connection without a BYE.
    Closed,
    /// The server closed the connection with this BYE.
    Bye(String),
    /// The server answered NO or BAD.
    Refused {
        /// The first word of the command.
        command: String,
        /// The server's text, from NO or BAD on.
        answer: String,
    },
    /// The server sent something that IMAP does not allow here.
    Unexpected {
        /// What should have come.
        awaited: &'static str,
        /// The line that came, cut to 200 octets.
        got: String,
    },
    /// A line, or the answers to one command, exceed what any sensible server sends.
    LineTooLong,
}

impl ClientError {
    pub(super) fn unexpected(awaited: &'static str, got: &[u8]) -> ClientError {
        let shown = &got[..got.len().min(200)];
        ClientError::Unexpected { awaited, got: shown.escape_ascii().to_string() }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Connect { address, error } => {
                write!(f, "cannot connect to {address}: {error}")
            }
            ClientError::Io(error) => write!(f, "the connection to the server broke: {error}"),
            ClientError::Closed => f.write_str("the server closed the connection"),
            ClientError::Bye(line) => write!(f, "the server closed the connection: {line}"),
            ClientError::Refused { command, answer } => {
                write!(f, "the server refused {command}: {answer}")
            }
            ClientError::Unexpected { awaited, got } => {
                write!(f, "expected {awaited} from the server, got: {got}")
            }
            ClientError::LineTooLong => f.write_str("the server's answer does not end"),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ClientError::Connect { error, .. } | ClientError::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a [`Trust`](crate::Trust) cannot be made.
#[derive(Debug)]
pub enum TrustError {
    /// The file of certificate authorities cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The authority, the server's name or the TLS configuration is unusable.
    Unusable {
        /// Which of them.
        what: &'static str,
        /// The cause.
        error: Box<dyn Error + Send + Sync>,
    },
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrustError::Read { path, error } => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            TrustError::Unusable { what, error } => write!(f, "cannot use {what}: {error}"),
        }
    }
}

impl Error for TrustError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TrustError::Read { error, .. } => Some(error),
            TrustError::Unusable { error, .. } => Some(&**error),
        }
    }
}
