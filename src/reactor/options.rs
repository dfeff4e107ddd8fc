//! What both sides of the seam are told, and what they answer when it cannot be done.

use std::{fmt, io};

/// How a reactor runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The core to pin the thread to; `None` leaves it to the scheduler.
    pub core: Option<usize>,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read from it.
    Read,
    /// To read and to write.
    Write,
    /// The same; it is made when it is not there.
    Create,
}

/// Why a thread has ended without a result.
#[derive(Debug)]
pub enum ThreadEnd {
    /// Its ring, or what else it begins with, could not be had.
    Failed(io::Error),
    /// A bug, which has said so itself.
    Panicked,
}

/// Why mailrace cannot run here.
#[derive(Debug)]
pub enum ProbeError {
    /// The kernel knows no io_uring.
    Missing,
    /// Somebody forbade it: seccomp in most containers, or a sysctl.
    Forbidden(io::Error),
    /// io_uring is there but too old.
    TooOld(&'static str),
    /// Anything else the kernel answered.
    Other(io::Error),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProbeError::Missing => f.write_str(
                "this kernel has no io_uring; mailrace needs Linux 6.0 or newer, built with \
                 CONFIG_IO_URING",
            ),
            ProbeError::Forbidden(error) => write!(
                f,
                "io_uring is forbidden here ({error}); in a container allow it in the seccomp \
                 profile, elsewhere set the sysctl kernel.io_uring_disabled to 0"
            ),
            ProbeError::TooOld(what) => {
                write!(f, "this kernel's io_uring lacks {what}; mailrace needs Linux 6.0 or newer")
            }
            ProbeError::Other(error) => write!(f, "io_uring cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for ProbeError {}
