//! Sets up the rings of all reactors, first thing at start.
//!
//! Some kernels (before 5.12, and since 6.14) count the memory of a ring against the user's limit
//! on locked memory, 8 MiB on most systems: enough for 14 rings of the usual size. So rings are
//! made as large as the limit allows, and fewer if even the smallest do not fit. Whether one fits
//! can only be tried, because other processes of the user count too.

use std::sync::mpsc;
use std::{io, thread};

use super::executor::{run_on, runtime};
use super::size::{PATIENCE, PAUSE, RingSize, allowed, limit_on_rings};
use super::thread::{Thread, abort_on_panic};
use crate::reactor::{Options, RingError};

type Work<T> = Box<dyn FnOnce(&tokio_uring::Runtime) -> T + Send>;

/// A thread with a ring that waits for its work, and ends if there is none.
pub struct Standby<T> {
    handle: thread::JoinHandle<io::Result<T>>,
    work: mpsc::Sender<Work<T>>,
}

impl<T: Send + 'static> Standby<T> {
    /// Starts the work. A panic in it ends the process.
    pub fn start<F: Future<Output = T>>(
        self,
        options: Options,
        main: impl FnOnce() -> F + Send + 'static,
    ) -> Thread<T> {
        let work: Work<T> = Box::new(move |runtime| {
            abort_on_panic();
            run_on(runtime, options, async { main().await })
        });
        // If the thread has ended, joining it reports why.
        let _ = self.work.send(work);
        Thread::of(self.handle)
    }
}

/// Sets up the rings of `wanted` reactors, each on its own thread. If they do not fit, logs a
/// warning and makes fewer, or fails if `exactly`.
///
/// # Errors
/// If there are too few, or the system refuses threads or descriptors.
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
            "the limit on locked memory has room for only {} rings, so that many reactors start \
             instead of {wanted}: raise it (LimitMEMLOCK, see tuning/README.md)",
            rings.len()
        );
    } else if size != RingSize::ALL[0] {
        tracing::warn!(
            "the limit on locked memory is too low for {wanted} rings of the usual size: some \
             have {} completion entries, slightly slower with thousands of connections. Raise \
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
            Err(_) => Err(io::Error::other("the start was abandoned")),
        }
    })?;
    made.recv().unwrap_or_else(|_| Err(io::Error::other("the thread has ended")))?;
    Ok(Standby { handle, work })
}

#[cfg(test)]
mod tests {
    use super::*;

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
