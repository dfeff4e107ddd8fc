//! What the reader has to know of a message, and what it has to know of damage.

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use super::error::ReadError;
use crate::store::format::{Fragment, SegmentId};

/// A message whose octets lie in the log. The index implements it: entries know where they lie.
pub trait Stored {
    /// Octets of the message.
    fn size(&self) -> u64;

    /// XXH3-128 (seed 0) of its octets.
    fn checksum(&self) -> u128;

    /// The fragment at `index`, counted from 0, in the order of the octets.
    fn fragment(&self, index: usize) -> Option<Fragment>;
}

/// Messages that the start found damaged, by where they begin.
#[derive(Clone, Debug, Default)]
pub struct Damaged {
    /// Segment and offset of the first fragment, ascending.
    first: Vec<(SegmentId, u32)>,
}

impl Damaged {
    /// Whether no message is damaged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Whether a message is among them.
    #[must_use]
    pub fn has(&self, message: &impl Stored) -> bool {
        let is_known = |first: Fragment| {
            self.first.binary_search(&(first.segment, first.offset)).is_ok() //
        };
        !self.first.is_empty() && message.fragment(0).is_some_and(is_known)
    }
}

/// Messages that begin with these fragments.
impl FromIterator<Fragment> for Damaged {
    fn from_iter<I: IntoIterator<Item = Fragment>>(fragments: I) -> Damaged {
        let mut first: Vec<_> = fragments.into_iter().map(|f| (f.segment, f.offset)).collect();
        first.sort_unstable();
        first.dedup();
        Damaged { first }
    }
}

/// The checksum of a message that is read piece by piece.
#[derive(Default)]
pub struct Checksum {
    hasher: Xxh3Default,
}

impl Checksum {
    /// Forgets all pieces so far.
    pub fn reset(&mut self) {
        self.hasher.reset();
    }

    /// Takes the next octets of the message.
    pub fn update(&mut self, octets: &[u8]) {
        self.hasher.update(octets);
    }

    /// Compares with what was stored, once all octets of the message were taken.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when they are others.
    pub fn verify(&self, message: &impl Stored) -> Result<(), ReadError> {
        compare(message, self.hasher.digest128())
    }
}

/// Compares all octets of a message with what was stored.
///
/// # Errors
/// [`ReadError::Damaged`] when they are others.
pub fn verify(message: &impl Stored, octets: &[u8]) -> Result<(), ReadError> {
    compare(message, xxh3_128(octets))
}

fn compare(message: &impl Stored, checksum: u128) -> Result<(), ReadError> {
    match checksum == message.checksum() {
        true => Ok(()),
        false => Err(ReadError::damaged(message, "does not have the octets that were stored")),
    }
}
