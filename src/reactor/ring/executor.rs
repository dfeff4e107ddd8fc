//! The executor of one core and the single operation that everything else is made of.

use std::future::Future;
use std::io;

use io_uring::{cqueue, opcode, squeue};
use tokio_uring::buf::fixed::FixedBufRegistry;
use tokio_uring::{OneshotOutputTransform, UnsubmittedOneshot};

use super::queue::Place;
use super::size::RingSize;
use crate::reactor::Options;
use crate::reactor::arena::Whole;

/// Runs `main` on a reactor of this thread until it is done.
///
/// # Errors
/// When the ring cannot be set up; [`super::probe()`] says why in words.
pub fn run<F: Future>(options: Options, main: F) -> io::Result<F::Output> {
    let runtime = runtime(RingSize::ALL[0])?;
    Ok(run_on(&runtime, options, main))
}

/// The same on a ring of this thread that is set up already.
pub(super) fn run_on<F: Future>(
    runtime: &tokio_uring::Runtime,
    options: Options,
    main: F,
) -> F::Output {
    if let Some(core) = options.core {
        pin(core);
    }
    runtime.block_on(main)
}

/// Sets up a ring of this size on this thread, which has no other.
pub(super) fn runtime(size: RingSize) -> io::Result<tokio_uring::Runtime> {
    let mut ring = tokio_uring::uring_builder();
    // Completions are processed when this thread enters the kernel anyway, instead of by an
    // interrupt of whatever it does. DEFER_TASKRUN would go further, but tokio-uring waits in
    // epoll, where deferred work never runs.
    ring.setup_cqsize(size.completions).setup_coop_taskrun().setup_single_issuer();
    let mut builder = tokio_uring::builder();
    builder.entries(size.submissions).uring_builder(&ring);
    let runtime = tokio_uring::Runtime::new(&builder)?;
    super::queue::set_entries(size.submissions);
    Ok(runtime)
}

/// Registers memory with the ring of this thread, under index 0. `None` where the limit on locked
/// memory forbids that.
pub(in crate::reactor) fn register(memory: Whole) -> Option<u16> {
    match FixedBufRegistry::new([memory]).register() {
        Ok(()) => Some(0),
        Err(error) => {
            tracing::debug!("the arena stays unregistered: {error}");
            None
        }
    }
}

/// Lets other tasks run, and what they have prepared leave for the kernel. To be awaited now and
/// then in long work: submissions leave only when the executor parks, which it does not do for a
/// task that merely yields.
pub async fn breathe() {
    // An operation that does nothing completes only after the executor has parked.
    let _ = submit(opcode::Nop::new().build(), ()).await;
}

fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::warn!("cannot pin a reactor to core {core}: {error}; it goes on unpinned");
    }
}

/// Submits `entry` and waits for its completion. `owned` is everything the kernel may touch until
/// then; it comes back with the result. Unless the queue is full, it is submitted before anything
/// that is submitted after this call.
pub(super) fn submit<D: Unpin + 'static>(
    entry: squeue::Entry,
    owned: D,
) -> impl Future<Output = (io::Result<usize>, D)> {
    let begun = match place() {
        Some(place) => Ok(begin(entry, owned, place)),
        None => Err((entry, owned)),
    };
    async move {
        match begun {
            Ok(operation) => operation.await,
            Err((entry, owned)) => {
                let place = loop {
                    match place() {
                        Some(place) => break place,
                        None => Place::moved().await,
                    }
                };
                begin(entry, owned, place).await
            }
        }
    }
}

/// A place in the queue, unless it is full. When it comes near that, an operation that does nothing
/// goes in as well, whose completion will tell how far the kernel has come.
fn place() -> Option<Place> {
    let (place, wants_mark) = Place::take()?;
    if wants_mark {
        let mark = begin(opcode::Nop::new().build(), (), Place::mark());
        drop(tokio::task::spawn_local(mark));
    }
    Some(place)
}

fn begin<D: Unpin + 'static>(
    entry: squeue::Entry,
    owned: D,
    place: Place,
) -> impl Future<Output = (io::Result<usize>, D)> {
    UnsubmittedOneshot::new((owned, place), GiveBack(std::marker::PhantomData), entry).submit()
}

struct GiveBack<D>(std::marker::PhantomData<fn() -> D>);

impl<D: 'static> OneshotOutputTransform for GiveBack<D> {
    type Output = (io::Result<usize>, D);
    /// The place goes with the completion, also when nobody waits for it any more.
    type StoredData = (D, Place);

    fn transform_oneshot_output(
        self,
        (owned, _place): (D, Place),
        completion: cqueue::Entry,
    ) -> Self::Output {
        let result = completion.result();
        let result = match usize::try_from(result) {
            Ok(octets) => Ok(octets),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        };
        (result, owned)
    }
}
