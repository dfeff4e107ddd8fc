//! How large rings can be under the limit on locked memory.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::BLOCK;

/// How large a ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingSize {
    /// Entries of the submission queue. What does not fit waits, see [`super::queue`].
    pub submissions: u32,
    /// Entries of the completion queue. What does not fit waits in the kernel, which takes a system
    /// call more.
    pub completions: u32,
}

impl RingSize {
    /// From the usual one, with more submissions than most turns of the executor prepare and four
    /// times as many completions as 8,192 connections have operations, to the smallest.
    pub const ALL: [RingSize; 5] = [
        RingSize { submissions: 1024, completions: 32_768 },
        RingSize { submissions: 1024, completions: 8_192 },
        RingSize { submissions: 256, completions: 2_048 },
        RingSize { submissions: 64, completions: 512 },
        RingSize { submissions: 16, completions: 128 },
    ];

    /// Octets of memory that it takes: entries of both queues, the head of the rings (320 octets)
    /// and an index of 4 octets for each submission; in whole pages.
    pub fn octets(self) -> u64 {
        let (submissions, completions) = (self.submissions as usize, self.completions as usize);
        let rings = (320 + 16 * completions + 4 * submissions).next_multiple_of(BLOCK);
        (rings + (64 * submissions).next_multiple_of(BLOCK)) as u64
    }
}

/// What the limit on locked memory allows.
pub(super) struct Allowed {
    /// The largest size of which there can be as many as wanted; else the smallest.
    pub size: RingSize,
    /// How many of them there can be.
    pub rings: usize,
}

/// What the limit allows, if no other process of the user has locked memory. `None` is no limit.
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

/// The limit that rings of this process count against; `None` where they do not count.
pub(super) fn limit_on_rings() -> Option<u64> {
    let limit = getrlimit(Resource::Memlock);
    let octets = limit.current?;
    if may_lock() {
        return None;
    }
    // Where they count, none can be had under a limit of nothing.
    let nothing = Rlimit { current: Some(0), maximum: limit.maximum };
    if setrlimit(Resource::Memlock, nothing).is_err() {
        return Some(octets);
    }
    let counted = io_uring::IoUring::new(8).is_err();
    let _ = setrlimit(Resource::Memlock, limit);
    counted.then_some(octets)
}

/// The kernel gives back the memory of rings a moment after the end of their process: a server that
/// follows another one waits for that, so many times before it takes what there is.
pub(super) const PATIENCE: u32 = 20;

/// And so long each time.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// CAP_IPC_LOCK lifts the limit; registering is the honest way to ask for it.
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
