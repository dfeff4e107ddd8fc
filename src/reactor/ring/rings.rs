//! The rings of all reactors, set up before anything else that a start does.
//!
//! Some kernels (those before 5.12 and since 6.14) count the memory of a ring against the limit on
//! locked memory of the user, 8 MiB on most systems: enough for 14 rings of the usual size. So the
//! rings are as large as the limit allows, and there are fewer of them when even the smallest
//! do not fit. Whether one does can only be tried: other processes of the user count as well.

use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::executor::{run_on, runtime};
use super::thread::{Thread, abort_on_panic};
use crate::limits::BLOCK;
use crate::reactor::{Options, RingError};

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
    fn octets(self) -> u64 {
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
    if super::probe::may_lock() {
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

type Work<T> = Box<dyn FnOnce(&tokio_uring::Runtime) -> T + Send>;

/// A thread that has a ring and waits for its work. Without any it ends.
pub struct Standby<T> {
    handle: thread::JoinHandle<io::Result<T>>,
    work: mpsc::Sender<Work<T>>,
}

impl<T: Send + 'static> Standby<T> {
    /// Gives it its work. A panic in it ends the process.
    pub fn start<F: Future<Output = T>>(
        self,
        options: Options,
        main: impl FnOnce() -> F + Send + 'static,
    ) -> Thread<T> {
        let work: Work<T> = Box::new(move |runtime| {
            abort_on_panic();
            run_on(runtime, options, async { main().await })
        });
        // A thread that has ended says so when it is joined.
        let _ = self.work.send(work);
        Thread::of(self.handle)
    }
}

/// Sets up the rings of so many reactors, each on its own thread; fewer when there cannot be as
/// many, unless it must be `exactly` these. What is not as it should be is logged.
///
/// # Errors
/// When there are too few, and when the system refuses threads or descriptors.
pub fn rings<T: Send + 'static>(
    wanted: usize,
    exactly: bool,
) -> Result<Vec<Standby<T>>, RingError> {
    let allowed = allowed(wanted, limit_on_rings());
    let mut size = allowed.size;
    let (mut rings, mut patience) = (Vec::new(), PATIENCE);
    while rings.len() < wanted {
        match ring(rings.len(), size) {
            Ok(ring) => rings.push(ring),
            Err(error) if error.raw_os_error() != Some(libc::ENOMEM) => {
                return Err(RingError::System(error));
            }
            Err(_) if patience > 0 => {
                patience -= 1;
                thread::sleep(PAUSE);
            }
            Err(_) => match RingSize::ALL.into_iter().find(|s| s.octets() < size.octets()) {
                Some(smaller) => size = smaller,
                None if exactly || rings.is_empty() => {
                    return Err(RingError::Locked { wanted, rings: rings.len() });
                }
                None => break,
            },
        }
    }
    if rings.len() < wanted {
        tracing::warn!(
            "the limit on locked memory has room for {} rings only, so there are as many reactors \
             instead of {wanted}: raise it (LimitMEMLOCK, see tuning/README.md)",
            rings.len()
        );
    } else if size != RingSize::ALL[0] {
        tracing::warn!(
            "the limit on locked memory is too small for {wanted} rings of the usual size: some \
             have {} entries for completions, a little slower with thousands of connections. Raise \
             it (LimitMEMLOCK, see tuning/README.md)",
            size.completions
        );
    }
    Ok(rings)
}

fn ring<T: Send + 'static>(number: usize, size: RingSize) -> io::Result<Standby<T>> {
    let (work, told) = mpsc::channel::<Work<T>>();
    let (tell, made) = mpsc::channel();
    let handle = thread::Builder::new().name(format!("reactor-{number}")).spawn(move || {
        let runtime = match runtime(size) {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = tell.send(Err(error));
                return Err(io::Error::other("no ring"));
            }
        };
        let _ = tell.send(Ok(()));
        match told.recv() {
            Ok(work) => Ok(work(&runtime)),
            Err(_) => Err(io::Error::other("the start was given up")),
        }
    })?;
    made.recv().unwrap_or_else(|_| Err(io::Error::other("the thread has ended")))?;
    Ok(Standby { handle, work })
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

    #[test]
    fn a_ring_runs_what_it_is_given() {
        let rings = rings(2, true).unwrap();
        let threads: Vec<_> = rings
            .into_iter()
            .map(|ring| ring.start(Options { core: None }, || async { 7 }))
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 7));
    }
}
