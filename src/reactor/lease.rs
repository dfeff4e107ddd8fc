//! Leases: exclusive parts of the arena.

use std::ops::Range;
use std::rc::Rc;

use super::arena::Shared;
use crate::limits::{LARGE_LEASE, SMALL_LEASE};

/// The two sizes of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseClass {
    /// [`SMALL_LEASE`] bytes.
    Small,
    /// [`LARGE_LEASE`] bytes.
    Large,
}

impl LeaseClass {
    /// The smallest class that holds this many octets; large if none does.
    #[must_use]
    pub const fn holding(octets: usize) -> LeaseClass {
        if octets <= SMALL_LEASE { LeaseClass::Small } else { LeaseClass::Large }
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            LeaseClass::Small => SMALL_LEASE,
            LeaseClass::Large => LARGE_LEASE,
        }
    }
}

/// Exclusive use of a page-aligned part of a reactor's arena. Returned on drop.
///
/// A reused lease still contains old mail: code that writes it out must first fill or zero every
/// octet of the frame.
pub struct Lease {
    pub(super) arena: Rc<Shared>,
    pub(super) class: LeaseClass,
    /// Offset in the arena.
    pub(super) offset: usize,
}

impl Lease {
    /// The lease's size class.
    #[must_use]
    pub fn class(&self) -> LeaseClass {
        self.class
    }

    /// Size in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // A lease is never empty.
    pub fn len(&self) -> usize {
        self.class.size()
    }

    /// The octets of the lease.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        // SAFETY: offset and class lie within the mapping by construction in `Shared::lease`. The
        // mapping lives as long as `arena` and is zeroed at birth. Leases never overlap, and the
        // kernel writes only into leases that an operation owns, so nothing writes while `&self` is
        // borrowed.
        unsafe { std::slice::from_raw_parts(self.pointer(0..self.len()), self.len()) }
    }

    /// The octets of the lease, writable.
    #[must_use]
    pub fn octets_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `octets`, and `&mut self` makes it exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(0..self.len()), self.len()) }
    }

    /// Pointer to the start of `range`, for the kernel. Panics if the range does not lie within the
    /// lease.
    pub(super) fn pointer(&self, range: Range<usize>) -> *mut u8 {
        assert!(range.start <= range.end && range.end <= self.len(), "range outside the lease");
        // SAFETY: `offset + range.start` is at most the end of the mapping, see above.
        unsafe { self.arena.base().add(self.offset + range.start) }
    }

    /// The ring's buffer index of the arena, if it is registered.
    pub(super) fn registered(&self) -> Option<u16> {
        self.arena.registered()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.arena.clone().give_back(self.class, self.offset);
    }
}
