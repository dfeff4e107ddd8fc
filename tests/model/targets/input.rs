//! An input read as numbers and octets.

use kit::Random;

/// Takes values from the front. Zeros when nothing is left.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(octets: &'a [u8]) -> Input<'a> {
        Input(octets)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// At most this many octets: fewer at the end of the input.
    pub fn octets(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.octets(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number from 0 to `end` - 1. `end` is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.u8()) % end
    }

    /// As many octets as the next octet says, at most `most`.
    pub fn short(&mut self, most: usize) -> &'a [u8] {
        let length = self.below(most + 1);
        self.octets(length)
    }
}

/// Cuts octets into slices of random lengths; the seed 0 leaves them whole.
pub fn slices(octets: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut random = Random::new(seed.into());
    let mut rest = octets;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // Single octets often, up to a hundred now and then.
        let length = match (seed, random.below(16)) {
            (0, _) => rest.len(),
            (_, 0..8) => 1,
            (_, 8..14) => random.within(1, 7),
            _ => random.within(1, 100),
        };
        let (slice, more) = rest.split_at(length.min(rest.len()));
        rest = more;
        Some(slice)
    })
}
