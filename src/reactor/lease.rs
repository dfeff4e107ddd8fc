//! A lease: exclusive use of a part of the arena.

use std::ops::Range;
use std::rc::Rc;

use super::arena::Shared;
use crate::limits::{LARGE_LEASE, SMALL_LEASE};

/// The two sizes of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseClass {
    /// [`SMALL_LEASE`] octets.
    Small,
    /// [`LARGE_LEASE`] octets.
    Large,
}

impl LeaseClass {
    /// The smaller one that holds so many octets; the large one when none does.
    #[must_use]
    pub const fn holding(octets: usize) -> LeaseClass {
        if octets <= SMALL_LEASE { LeaseClass::Small } else { LeaseClass::Large }
    }

    /// Size in octets.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            LeaseClass::Small => SMALL_LEASE,
            LeaseClass::Large => LARGE_LEASE,
        }
    }
}

/// Exclusive use of a page-aligned part of a reactor's arena. Goes back when dropped.
///
/// A lease that comes back from use still holds old mail: whoever writes it out must fill or zero
/// every octet of the frame first.
pub struct Lease {
    pub(super) arena: Rc<Shared>,
    pub(super) class: LeaseClass,
    /// Offset in the arena.
    pub(super) offset: usize,
}

impl Lease {
    /// Its size class.
    #[must_use]
    pub fn class(&self) -> LeaseClass {
        self.class
    }

    /// Size in octets.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // A lease is never empty.
    pub fn len(&self) -> usize {
        self.class.size()
    }

    /// All its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        // SAFETY: offset and class lie within the mapping by construction in `Shared::lease`; the
        // mapping lives as long as `arena`, is zeroed at birth, and leases never overlap, so
        // nobody writes while `&self` is borrowed. The kernel writes only into leases that an
        // operation owns.
        unsafe { std::slice::from_raw_parts(self.pointer(0..self.len()), self.len()) }
    }

    /// All its octets, to change them.
    #[must_use]
    pub fn octets_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `octets`, and `&mut self` makes it exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(0..self.len()), self.len()) }
    }

    /// Where `range` begins, for the kernel. Checks that the whole range lies inside.
    pub(super) fn pointer(&self, range: Range<usize>) -> *mut u8 {
        assert!(range.start <= range.end && range.end <= self.len(), "range outside of the lease");
        // SAFETY: `offset + range.start` is at most the end of the mapping, see above.
        unsafe { self.arena.base().add(self.offset + range.start) }
    }

    /// The index under which the arena is registered with the ring, if it is.
    pub(super) fn registered(&self) -> Option<u16> {
        self.arena.registered()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.arena.clone().give_back(self.class, self.offset);
    }
}
