//! Checks what this kernel supports, before anything starts.

use io_uring::{IoUring, opcode, register};

use super::size::{self, Allowed, RingSize, may_lock};
use crate::limits::ARENA;
use crate::reactor::{Locked, ProbeError};

/// Tries a small ring with all operations that the reactors use. Returns what the limit on locked
/// memory allows for this many reactors.
///
/// # Errors
/// If the reactors cannot run.
pub fn probe(reactors: usize) -> Result<Locked, ProbeError> {
    let mut builder = IoUring::<io_uring::squeue::Entry, io_uring::cqueue::Entry>::builder();
    builder.setup_coop_taskrun().setup_single_issuer();
    let mut built = builder.build(8);
    for _ in 0..size::PATIENCE {
        match &built {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                std::thread::sleep(size::PAUSE);
                built = builder.build(8);
            }
            _ => break,
        }
    }
    let ring = built.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOSYS) => ProbeError::Missing,
        Some(libc::EPERM | libc::EACCES) => ProbeError::Forbidden(error),
        Some(libc::EINVAL) => ProbeError::TooOld("IORING_SETUP_SINGLE_ISSUER"),
        Some(libc::ENOMEM) => ProbeError::Locked,
        _ => ProbeError::Other(error),
    })?;
    let mut found = register::Probe::new();
    ring.submitter().register_probe(&mut found).map_err(ProbeError::Other)?;
    for (code, name) in [
        (opcode::PollAdd::CODE, "POLL_ADD"),
        (opcode::Recv::CODE, "RECV"),
        (opcode::Send::CODE, "SEND"),
        (opcode::Accept::CODE, "ACCEPT"),
        (opcode::AsyncCancel2::CODE, "ASYNC_CANCEL"),
        (opcode::ReadFixed::CODE, "READ_FIXED"),
        (opcode::WriteFixed::CODE, "WRITE_FIXED"),
        (opcode::Fsync::CODE, "FSYNC"),
    ] {
        if !found.is_supported(code) {
            return Err(ProbeError::TooOld(name));
        }
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    let wanted = (ARENA * reactors) as u64;
    let registered = limit.is_none_or(|limit| limit >= wanted) || may_lock();
    let Allowed { size: ring, rings } = size::allowed(reactors, size::limit_on_rings());
    Ok(Locked { registered, reactors: rings.max(1), usual_rings: ring == RingSize::ALL[0] })
}

/// Raises the limits on locked memory and descriptors as far as the system allows. Each connection
/// takes a descriptor, and the usual soft limit of 1,024 exists for programs that use select(2).
/// Returns the number of descriptors; `None` means unlimited.
pub fn raise_limits() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    for resource in [Resource::Memlock, Resource::Nofile] {
        let limit = getrlimit(resource);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(resource, raised) {
            tracing::debug!("cannot raise the limit {resource:?}: {error}");
        }
    }
    getrlimit(Resource::Nofile).current
}
