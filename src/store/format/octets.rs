//! Little-endian integers to and from octets, with every step bounded.

/// Writes one value after the other. It panics at the end of its room: the caller has computed how
/// much is needed, so that is a bug.
pub(in crate::store) struct Put<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Put<'a> {
    pub(in crate::store) fn new(out: &'a mut [u8]) -> Put<'a> {
        Put { out, at: 0 }
    }

    pub(in crate::store) fn octets(&mut self, octets: &[u8]) {
        self.out[self.at..self.at + octets.len()].copy_from_slice(octets);
        self.at += octets.len();
    }

    pub(in crate::store) fn u8(&mut self, value: u8) {
        self.octets(&[value]);
    }

    pub(in crate::store) fn u16(&mut self, value: u16) {
        self.octets(&value.to_le_bytes());
    }

    pub(in crate::store) fn u32(&mut self, value: u32) {
        self.octets(&value.to_le_bytes());
    }

    pub(in crate::store) fn u64(&mut self, value: u64) {
        self.octets(&value.to_le_bytes());
    }

    pub(in crate::store) fn u128(&mut self, value: u128) {
        self.octets(&value.to_le_bytes());
    }

    pub(in crate::store) fn zeros(&mut self, count: usize) {
        self.out[self.at..self.at + count].fill(0);
        self.at += count;
    }

    /// Writes zeros up to the next multiple of 8, counted from the beginning.
    pub(in crate::store) fn pad(&mut self) {
        let end = self.at.next_multiple_of(8);
        self.out[self.at..end].fill(0);
        self.at = end;
    }

    /// Bytes written so far.
    pub(in crate::store) fn len(&self) -> usize {
        self.at
    }
}

/// Reads one value after the other; `None` when too few octets are left.
pub(in crate::store) struct Take<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Take<'a> {
    pub(in crate::store) fn new(octets: &'a [u8]) -> Take<'a> {
        Take { octets, at: 0 }
    }

    /// Bytes that are left.
    pub(in crate::store) fn left(&self) -> usize {
        self.octets.len() - self.at
    }

    pub(in crate::store) fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.octets.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.octets(N)?.try_into().ok()
    }

    pub(in crate::store) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(in crate::store) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(in crate::store) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(in crate::store) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(in crate::store) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    /// Reads zeros up to the next multiple of 8, counted from the beginning.
    pub(in crate::store) fn pad(&mut self) -> Option<()> {
        let padding = self.octets(self.at.next_multiple_of(8) - self.at)?;
        padding.iter().all(|&o| o == 0).then_some(())
    }
}
