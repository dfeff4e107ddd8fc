//! The rings of all reactors, set up before anything else that a start does.
//!
//! Some kernels (those before 5.12 and since 6.14) count the memory of a ring against the limit on
//! locked memory of the user, 8 MiB on most systems: enough for 14 rings of the usual size. So the
//! rings are as large as the limit allows, and there are fewer of them when even the smallest
//! do not fit. Whether one does can only be tried: other processes of the user count as well.

use std::sync::mpsc;
use std::{io, thread};

use super::executor::{run_on, runtime};
use super::size::{PATIENCE, PAUSE, RingSize, allowed, limit_on_rings};
use super::thread::{Thread, abort_on_panic};
use crate::reactor::{Options, RingError};

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
