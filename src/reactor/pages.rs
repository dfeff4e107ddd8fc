//! Memory that returns to the kernel when it is dropped. An allocator would keep it, which is too
//! much for tens of megabytes that are needed for milliseconds.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// An array in a mapping of its own, unmapped on drop.
pub struct Pages<T: Copy> {
    mapping: NonNull<T>,
    count: usize,
}

impl<T: Copy> Pages<T> {
    /// An array of `count` copies of `value`.
    ///
    /// # Errors
    /// If the memory cannot be mapped.
    pub fn filled(value: T, count: usize) -> io::Result<Pages<T>> {
        const { assert!(align_of::<T>() <= 4096 && size_of::<T>() > 0) };
        let octets = count.checked_mul(size_of::<T>()).filter(|&octets| octets > 0);
        let octets = octets.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mapping = map(octets)?.cast::<T>();
        for at in 0..count {
            // SAFETY: the mapping has room for `count` values, and its page alignment satisfies
            // that of `T`.
            unsafe { mapping.add(at).write(value) };
        }
        Ok(Pages { mapping, count })
    }
}

/// Maps fresh, zeroed memory. Huge pages are requested, because callers map a lot at once: that
/// means fewer page faults.
pub(super) fn map(octets: usize) -> io::Result<NonNull<u8>> {
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
    let flags = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new private mapping at an address of the kernel's choice overlaps nothing of ours.
    let address =
        unsafe { mmap_anonymous(std::ptr::null_mut(), octets, flags, MapFlags::PRIVATE)? };
    // SAFETY: the range is the mapping just made. Huge pages are optional, so errors are ignored.
    let _ = unsafe { madvise(address, octets, Advice::LinuxHugepage) };
    NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mmap returned null"))
}

impl<T: Copy> Deref for Pages<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `filled` has written `count` values, and the mapping lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.mapping.as_ptr(), self.count) }
    }
}

impl<T: Copy> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above; no other code has a pointer to the mapping.
        unsafe { std::slice::from_raw_parts_mut(self.mapping.as_ptr(), self.count) }
    }
}

impl<T: Copy> Drop for Pages<T> {
    fn drop(&mut self) {
        let octets = self.count * size_of::<T>();
        // SAFETY: the mapping was made by `map` with this length; all borrows of it have ended.
        let result = unsafe { rustix::mm::munmap(self.mapping.as_ptr().cast(), octets) };
        debug_assert!(result.is_ok(), "the mapping was not there");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether this process has a mapping at this address.
    fn is_mapped(address: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().any(|line| {
            let (from, rest) = line.split_once('-').unwrap();
            let (to, _) = rest.split_once(' ').unwrap();
            let octets = |hex| usize::from_str_radix(hex, 16).unwrap();
            (octets(from)..octets(to)).contains(&address)
        })
    }

    #[test]
    fn values_are_there_and_can_be_changed() {
        let mut pages = Pages::filled([7u64; 128], 1000).unwrap();
        assert!(pages.iter().all(|block| *block == [7; 128]));
        pages[999][127] = 8;
        assert_eq!((pages.len(), pages[999][127], pages[998][127]), (1000, 8, 7));
    }

    #[test]
    fn memory_goes_back() {
        // Large, so that no concurrent test maps the same place.
        let pages = Pages::filled(1u8, 256 << 20).unwrap();
        let middle = pages.as_ptr() as usize + (128 << 20);
        assert!(is_mapped(middle));
        drop(pages);
        assert!(!is_mapped(middle));
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert!(Pages::filled(0u8, 0).is_err());
        assert!(Pages::filled(0u64, usize::MAX / 4).is_err());
        assert!(Pages::filled(0u8, usize::MAX / 2).is_err());
    }
}
