//! The arena: one memory mapping per reactor, registered with the ring, handed out in leases.
//!
//! Ten thousand slow uploads share 640 leases, so leases must move from connections that wait to
//! those that have something to do, without deadlock:
//!
//! ```text
//! A, uploading      holds a lease; its client is slow, so A registers as an idler and waits
//! B                 asks for a lease; none is free: B joins the queue, and A is interrupted
//! A                 writes out what it has received, and drops the lease
//! the arena         hands the lease to B, the first in the queue
//! A                 asks for a lease again, behind the others
//! ```
//!
//! Leases are handed over in the order of requests. A task that waits for a lease holds none, so no
//! two tasks wait for each other. A lease that is being written comes back when the write
//! completes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;

use tokio::sync::oneshot;
use tokio_uring::buf::{IoBuf, IoBufMut};

use super::interrupt::Interrupt;
use super::lease::{Lease, LeaseClass};
use super::pages::map;
use super::side;
use crate::limits::{LARGE_LEASES, SMALL_LEASES};

/// The receive and write memory of a reactor. Clones are handles to one arena.
#[derive(Clone)]
pub struct Arena {
    shared: Rc<Shared>,
}

/// Counters for the operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArenaStats {
    /// Leases currently handed out, small and large.
    pub in_use: usize,
    /// Small leases among them.
    pub small_in_use: usize,
    /// How often a task had to wait for a lease.
    pub waits: u64,
}

pub(super) struct Shared {
    mapping: NonNull<u8>,
    registered: Cell<Option<u16>>,
    free: RefCell<Free>,
    waits: Cell<u64>,
    shape: Shape,
}

/// The number of leases in an arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub small: usize,
    pub large: usize,
}

impl Shape {
    /// The numbers in [`crate::limits`].
    pub(super) const STANDARD: Shape = Shape { small: SMALL_LEASES, large: LARGE_LEASES };

    /// Size of the mapping in bytes.
    const fn octets(self) -> usize {
        self.small * LeaseClass::Small.size() + self.large * LeaseClass::Large.size()
    }
}

/// Free leases, waiting tasks, and idlers, which could give up a lease.
struct Free {
    small: Vec<usize>,
    large: Vec<usize>,
    waiting_small: VecDeque<oneshot::Sender<Lease>>,
    waiting_large: VecDeque<oneshot::Sender<Lease>>,
    /// Connections that hold a lease while they wait for their peer, longest first.
    idlers: VecDeque<(u64, LeaseClass, Interrupt)>,
    next_idler: u64,
}

impl Free {
    fn of(&mut self, class: LeaseClass) -> &mut Vec<usize> {
        match class {
            LeaseClass::Small => &mut self.small,
            LeaseClass::Large => &mut self.large,
        }
    }

    fn waiting(&mut self, class: LeaseClass) -> &mut VecDeque<oneshot::Sender<Lease>> {
        match class {
            LeaseClass::Small => &mut self.waiting_small,
            LeaseClass::Large => &mut self.waiting_large,
        }
    }
}

impl Arena {
    /// Maps the arena and registers it with this thread's ring. If the limit on locked memory
    /// forbids that, it stays unregistered, which is slower but equally correct.
    ///
    /// # Errors
    /// If the memory cannot be mapped.
    pub fn new() -> io::Result<Arena> {
        Arena::with(side::arena_shape(), side::register)
    }

    pub(super) fn with(
        shape: Shape,
        register: impl FnOnce(Whole) -> Option<u16>,
    ) -> io::Result<Arena> {
        let mapping = map(shape.octets())?;
        // In reverse, so that the leases with the lowest addresses come first, and a few leases are
        // reused while they are in cache.
        let smalls = shape.large * LeaseClass::Large.size();
        let free = Free {
            small: (0..shape.small).rev().map(|n| smalls + n * LeaseClass::Small.size()).collect(),
            large: (0..shape.large).rev().map(|n| n * LeaseClass::Large.size()).collect(),
            waiting_small: VecDeque::new(),
            waiting_large: VecDeque::new(),
            idlers: VecDeque::new(),
            next_idler: 0,
        };
        let shared = Rc::new(Shared {
            mapping,
            registered: Cell::new(None),
            free: RefCell::new(free),
            waits: Cell::new(0),
            shape,
        });
        shared.registered.set(register(Whole(shared.clone())));
        Ok(Arena { shared })
    }

    /// A lease, if one is free and no task waits for one.
    #[must_use]
    pub fn try_lease(&self, class: LeaseClass) -> Option<Lease> {
        let mut free = self.shared.free.borrow_mut();
        if !free.waiting(class).is_empty() {
            return None;
        }
        let offset = free.of(class).pop()?;
        Some(Lease { arena: self.shared.clone(), class, offset })
    }

    /// Waits for a lease; first come, first served. The caller must not hold another lease, or two
    /// callers could wait for each other.
    pub async fn lease(&self, class: LeaseClass) -> Lease {
        if let Some(lease) = self.try_lease(class) {
            return lease;
        }
        self.shared.waits.set(self.shared.waits.get() + 1);
        let (sender, receiver) = oneshot::channel();
        let idler = {
            let mut free = self.shared.free.borrow_mut();
            free.waiting(class).push_back(sender);
            // Only a lease of this class helps.
            let helper = free.idlers.iter().position(|(_, held, _)| *held == class);
            helper.and_then(|at| free.idlers.remove(at))
        };
        // The connection that has waited longest for its peer writes out what it has and asks
        // again.
        if let Some((_, _, interrupt)) = idler {
            interrupt.interrupt();
        }
        receiver.await.expect("the arena outlives those who wait for it")
    }

    /// Whether a task waits for a lease.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let free = self.shared.free.borrow();
        !(free.waiting_small.is_empty() && free.waiting_large.is_empty())
    }

    /// Whether less than a quarter of the large leases is free. A connection should not keep one
    /// then while it waits for a slow peer.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.shared.free.borrow().large.len() < self.shared.shape.large / 4
    }

    /// Registers a connection that holds a lease while it waits for its peer. Until the guard is
    /// dropped, it may be interrupted when leases run out. A caller that finds [`Arena::is_short`]
    /// should not begin to wait.
    #[must_use]
    pub fn idle(&self, class: LeaseClass, interrupt: Interrupt) -> Idle {
        let mut free = self.shared.free.borrow_mut();
        let number = free.next_idler;
        free.next_idler += 1;
        free.idlers.push_back((number, class, interrupt));
        Idle { shared: self.shared.clone(), number }
    }

    /// The arena of a lease.
    #[cfg(test)]
    pub(super) fn of_lease(lease: &Lease) -> Arena {
        Arena { shared: lease.arena.clone() }
    }

    /// The counters, as of now.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        self.shared.stats()
    }
}

/// Guard of [`Arena::idle`].
pub struct Idle {
    shared: Rc<Shared>,
    number: u64,
}

impl Drop for Idle {
    fn drop(&mut self) {
        let mut free = self.shared.free.borrow_mut();
        // Numbers ascend. An interrupted entry is gone already.
        if let Ok(at) = free.idlers.binary_search_by_key(&self.number, |(number, ..)| *number) {
            free.idlers.remove(at);
        }
    }
}

impl Shared {
    pub(super) fn stats(&self) -> ArenaStats {
        let free = self.free.borrow();
        let small_in_use = self.shape.small - free.small.len();
        let in_use = small_in_use + self.shape.large - free.large.len();
        ArenaStats { in_use, small_in_use, waits: self.waits.get() }
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.mapping.as_ptr()
    }

    pub(super) fn registered(&self) -> Option<u16> {
        self.registered.get()
    }

    pub(super) fn give_back(self: Rc<Self>, class: LeaseClass, offset: usize) {
        let waiter = loop {
            match self.free.borrow_mut().waiting(class).pop_front() {
                Some(gone) if gone.is_closed() => {}
                waiter => break waiter,
            }
        };
        match waiter {
            // On one thread, the receiver cannot be dropped between the check and the send.
            Some(waiter) => {
                let lease = Lease { arena: self, class, offset };
                assert!(waiter.send(lease).is_ok(), "the waiter was there a moment ago");
            }
            None => self.free.borrow_mut().of(class).push(offset),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length; every lease held an `Rc` of
        // `self`, as did the ring's registration, so nothing points into it any more.
        let result =
            unsafe { rustix::mm::munmap(self.mapping.as_ptr().cast(), self.shape.octets()) };
        debug_assert!(result.is_ok(), "the arena's mapping was not there");
    }
}

/// The whole mapping as one buffer, for registration only. It is never checked out.
pub(super) struct Whole(Rc<Shared>);

#[cfg(test)]
impl Whole {
    /// Lets a test see later what is in use.
    pub(super) fn downgrade(&self) -> std::rc::Weak<Shared> {
        Rc::downgrade(&self.0)
    }
}

// SAFETY: the mapping does not move and lives as long as the `Rc` in here.
unsafe impl IoBuf for Whole {
    fn stable_ptr(&self) -> *const u8 {
        self.0.base()
    }

    fn bytes_init(&self) -> usize {
        self.0.shape.octets()
    }

    fn bytes_total(&self) -> usize {
        self.0.shape.octets()
    }
}

// SAFETY: as above; the octets are zeroed at birth, so all of them are always initialised.
unsafe impl IoBufMut for Whole {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.base()
    }

    unsafe fn set_init(&mut self, _: usize) {}
}
