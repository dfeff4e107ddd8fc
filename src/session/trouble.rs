//! Errors of commands that read messages.

use std::fmt;

use crate::net::Gone;
use crate::reactor::JobError;
use crate::store::ReadError;
use imap::mime::TooLong;

/// Why a command cannot answer for a message.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The client has disconnected, so the command ends.
    Gone,
    /// The headers of the message are too long for the request.
    TooLong,
    /// The octets cannot be read, or differ from what was stored.
    Octets(ReadError),
    /// A job of the offload pool failed.
    Thread(JobError),
}

impl From<Gone> for Trouble {
    fn from(_: Gone) -> Trouble {
        Trouble::Gone
    }
}

impl From<TooLong> for Trouble {
    fn from(_: TooLong) -> Trouble {
        Trouble::TooLong
    }
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Trouble {
        Trouble::Octets(error)
    }
}

impl From<JobError> for Trouble {
    fn from(error: JobError) -> Trouble {
        Trouble::Thread(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Gone => f.write_str("the client has gone"),
            Trouble::TooLong => f.write_str("the headers of a message are too long"),
            Trouble::Octets(error) => error.fmt(f),
            Trouble::Thread(error) => error.fmt(f),
        }
    }
}
