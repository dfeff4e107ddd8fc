//! The executor of one core, and the one function that submits every operation.

use std::future::Future;
use std::io;

use io_uring::{cqueue, opcode, squeue};
use tokio_uring::buf::fixed::FixedBufRegistry;
use tokio_uring::{OneshotOutputTransform, UnsubmittedOneshot};

use super::queue::Ticket;
use super::size::RingSize;
use crate::reactor::Options;
use crate::reactor::arena::Whole;

/// Runs `main` to completion on a reactor of this thread.
///
/// # Errors
/// If the ring cannot be set up; [`super::probe()`] explains why.
pub fn run<F: Future>(options: Options, main: F) -> io::Result<F::Output> {
    let runtime = runtime(RingSize::ALL[0])?;
    Ok(run_on(&runtime, options, main))
}

/// As [`run`], on an existing ring of this thread.
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

/// Sets up a ring of this size on this thread, which must not have one yet.
pub(super) fn runtime(size: RingSize) -> io::Result<tokio_uring::Runtime> {
    let mut ring = tokio_uring::uring_builder();
    // Completions are processed when this thread enters the kernel anyway, without interrupting it.
    // DEFER_TASKRUN would go further, but tokio-uring waits in epoll, where deferred work never
    // runs.
    ring.setup_cqsize(size.completions).setup_coop_taskrun().setup_single_issuer();
    let mut builder = tokio_uring::builder();
    builder.entries(size.submissions).uring_builder(&ring);
    let runtime = tokio_uring::Runtime::new(&builder)?;
    super::queue::set_entries(size.submissions);
    Ok(runtime)
}

/// Registers memory with this thread's ring, as buffer 0. `None` if the limit on locked memory
/// forbids that.
pub(in crate::reactor) fn register(memory: Whole) -> Option<u16> {
    match FixedBufRegistry::new([memory]).register() {
        Ok(()) => Some(0),
        Err(error) => {
            tracing::debug!("cannot register the arena: {error}; it is used unregistered");
            None
        }
    }
}

/// Lets other tasks run, and submits what they have prepared. Await this regularly in long work:
/// submissions leave only when the executor parks, which it does not do for a task that merely
/// yields.
pub async fn breathe() {
    // A no-op completes only after the executor has parked.
    let _ = submit(opcode::Nop::new().build(), ()).await;
}

fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::warn!("cannot pin a reactor to core {core}: {error}; it runs unpinned");
    }
}

/// Submits `entry` and waits for its completion. `owned` is everything that the kernel may access
/// until then; it comes back with the result. Unless the queue is full, the entry is submitted
/// before anything submitted after this call.
pub(super) fn submit<D: Unpin + 'static>(
    entry: squeue::Entry,
    owned: D,
) -> impl Future<Output = (io::Result<usize>, D)> {
    let begun = match ticket() {
        Some(ticket) => Ok(begin(entry, owned, ticket)),
        None => Err((entry, owned)),
    };
    async move {
        match begun {
            Ok(operation) => operation.await,
            Err((entry, owned)) => {
                let ticket = loop {
                    match ticket() {
                        Some(ticket) => break ticket,
                        None => Ticket::moved().await,
                    }
                };
                begin(entry, owned, ticket).await
            }
        }
    }
}

/// A ticket for the queue, unless it may be full. Submits a mark when one is due.
fn ticket() -> Option<Ticket> {
    let (ticket, wants_mark) = Ticket::take()?;
    if wants_mark {
        let mark = begin(opcode::Nop::new().build(), (), Ticket::mark());
        drop(tokio::task::spawn_local(mark));
    }
    Some(ticket)
}

fn begin<D: Unpin + 'static>(
    entry: squeue::Entry,
    owned: D,
    ticket: Ticket,
) -> impl Future<Output = (io::Result<usize>, D)> {
    UnsubmittedOneshot::new((owned, ticket), GiveBack(std::marker::PhantomData), entry).submit()
}

struct GiveBack<D>(std::marker::PhantomData<fn() -> D>);

impl<D: 'static> OneshotOutputTransform for GiveBack<D> {
    type Output = (io::Result<usize>, D);
    /// The ticket is dropped with the completion, even if the future is gone by then.
    type StoredData = (D, Ticket);

    fn transform_oneshot_output(
        self,
        (owned, _ticket): (D, Ticket),
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
