//! The sizes that rings can have under the limit on locked memory.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::BLOCK;

/// The size of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingSize {
    /// Entries of the submission queue. When it is full, operations wait: see [`super::queue`].
    pub submissions: u32,
    /// Entries of the completion queue. When it is full, completions wait in the kernel, which
    /// costs another system call.
    pub completions: u32,
}

impl RingSize {
    /// From the usual size to the smallest. The usual one has more submissions than most turns of
    /// the executor prepare, and four times as many completions as 8,192 connections have
    /// operations.
    pub(super) const ALL: [RingSize; 5] = [
        RingSize { submissions: 1024, completions: 32_768 },
        RingSize { submissions: 1024, completions: 8_192 },
        RingSize { submissions: 256, completions: 2_048 },
        RingSize { submissions: 64, completions: 512 },
        RingSize { submissions: 16, completions: 128 },
    ];

    /// Memory in bytes, in whole pages: the entries of both queues, the head of the rings (320
    /// bytes) and an index of 4 bytes for each submission.
    pub(super) fn octets(self) -> u64 {
        let (submissions, completions) = (self.submissions as usize, self.completions as usize);
        let rings = (320 + 16 * completions + 4 * submissions).next_multiple_of(BLOCK);
        (rings + (64 * submissions).next_multiple_of(BLOCK)) as u64
    }
}

/// What the limit on locked memory allows.
pub(super) struct Allowed {
    /// The largest size that allows as many rings as wanted, or else the smallest.
    pub size: RingSize,
    /// Number of rings of that size.
    pub rings: usize,
}

/// What the limit allows if other processes of this user lock nothing. `None` means no limit.
pub(super) fn allowed(wanted: usize, limit: Option<u64>) -> Allowed {
    let fits = |size: &RingSize| limit.is_none_or(|limit| size.octets() * wanted as u64 <= limit);
    let smallest = RingSize::ALL[RingSize::ALL.len() - 1];
    match (RingSize::ALL.into_iter().find(fits), limit) {
        (None, Some(limit)) => {
            Allowed { size: smallest, rings: (limit / smallest.octets()) as usize }
        }
        (size, _) => Allowed { size: size.unwrap_or(smallest), rings: wanted },
    }
}

/// The limit that rings of this process count against; `None` if they do not count.
pub(super) fn limit_on_rings() -> Option<u64> {
    let limit = getrlimit(Resource::Memlock);
    let octets = limit.current?;
    if may_lock() {
        return None;
    }
    // If rings count, none can be made under a limit of zero.
    let nothing = Rlimit { current: Some(0), maximum: limit.maximum };
    if setrlimit(Resource::Memlock, nothing).is_err() {
        return Some(octets);
    }
    let counted = io_uring::IoUring::new(8).is_err();
    let _ = setrlimit(Resource::Memlock, limit);
    counted.then_some(octets)
}

/// Attempts before a smaller size is tried. The kernel frees the memory of rings a moment after
/// their process ends, which matters to a server that follows another.
pub(super) const PATIENCE: u32 = 20;

/// Time between these attempts.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Whether this process has CAP_IPC_LOCK, which lifts the limit on locked memory.
pub(super) fn may_lock() -> bool {
    let capabilities = rustix::thread::capabilities(None);
    capabilities.is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::IPC_LOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets_and_rings(wanted: usize, limit: Option<u64>) -> (u64, usize) {
        let Allowed { size, rings } = allowed(wanted, limit);
        (size.octets(), rings)
    }

    #[test]
    fn rings_are_as_large_as_the_limit_allows() {
        assert_eq!(octets_and_rings(64, None), (598_016, 64));
        assert_eq!(octets_and_rings(14, Some(8 << 20)), (598_016, 14));
        assert_eq!(octets_and_rings(16, Some(8 << 20)), (204_800, 16));
        assert_eq!(octets_and_rings(64, Some(8 << 20)), (53_248, 64));
        assert_eq!(octets_and_rings(4, Some(64 << 10)), (16_384, 4));
    }

    #[test]
    fn there_are_fewer_when_the_smallest_do_not_fit() {
        assert_eq!(octets_and_rings(16, Some(64 << 10)), (8192, 8));
        assert_eq!(octets_and_rings(1, Some(4096)), (8192, 0));
    }
}
