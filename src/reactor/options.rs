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
    /// The limit on locked memory has no room for the smallest ring.
    Locked,
    /// Anything else the kernel answered.
    Other(io::Error),
}

/// What the limit on locked memory allows, if no other process of the user has locked any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Whether all arenas can be registered; if not, they are used unregistered.
    pub registered: bool,
    /// Reactors that can have a ring.
    pub reactors: usize,
    /// Whether the rings are of the usual size.
    pub usual_rings: bool,
}

/// Why reactors get no rings.
#[derive(Debug)]
pub enum RingError {
    /// The limit on locked memory has room for so many of those that were wanted.
    Locked {
        /// How many were wanted.
        wanted: usize,
        /// How many there could be.
        rings: usize,
    },
    /// The system refuses threads or descriptors.
    System(io::Error),
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingError::Locked { wanted, rings } => write!(
                f,
                "the limit on locked memory has room for {rings} rings of the {wanted} that \
                 --reactors asks for: raise it (LimitMEMLOCK in the unit, memlock in \
                 /etc/security/limits.conf for a shell), or ask for fewer"
            ),
            RingError::System(error) => {
                write!(f, "a reactor cannot be set up: {error}; see LimitNOFILE and TasksMax")
            }
        }
    }
}

impl std::error::Error for RingError {}

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
            ProbeError::Locked => f.write_str(
                "the limit on locked memory has no room for an io_uring: raise it (LimitMEMLOCK in \
                 the unit, memlock in /etc/security/limits.conf for a shell)",
            ),
            ProbeError::Other(error) => write!(f, "io_uring cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for ProbeError {}
