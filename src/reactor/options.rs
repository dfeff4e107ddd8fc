//! Options, open modes and errors shared by the io_uring and the simulated reactor.

use std::{fmt, io};

/// Options of a reactor.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The core to pin the thread to; `None` leaves the choice to the scheduler.
    pub core: Option<usize>,
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    Read,
    /// For reading and writing.
    Write,
    /// For reading and writing; created if missing.
    Create,
}

/// Why a thread ended without a result.
#[derive(Debug)]
pub enum ThreadEnd {
    /// Its setup failed, for example that of its ring.
    Failed(io::Error),
    /// It panicked, and the log says so.
    Panicked,
}

/// Why mailrace cannot run on this system.
#[derive(Debug)]
pub enum ProbeError {
    /// The kernel does not have io_uring.
    Missing,
    /// io_uring is forbidden: by seccomp, as in most containers, or by a sysctl.
    Forbidden(io::Error),
    /// The kernel's io_uring lacks this.
    TooOld(&'static str),
    /// The limit on locked memory is too low for the smallest ring.
    Locked,
    /// Any other error of the kernel.
    Other(io::Error),
}

/// What the limit on locked memory allows, provided that other processes of this user lock nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Whether all arenas can be registered; otherwise they are used unregistered.
    pub registered: bool,
    /// Number of reactors that can have a ring.
    pub reactors: usize,
    /// Whether the rings have the usual size.
    pub usual_rings: bool,
}

/// Why the reactors cannot be started.
#[derive(Debug)]
pub enum RingError {
    /// The limit on locked memory allows fewer rings than requested.
    Locked {
        /// Requested rings.
        wanted: usize,
        /// Possible rings.
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
