//! The octets of all messages of a run.
//!
//! They are kept, not made again, so that a comparison is a memcmp. Two small messages can be the
//! same. Messages with the same octets form one *class*, and classes are what the model compares.

use std::collections::BTreeMap;
use std::rc::Rc;

use xxhash_rust::xxh3::xxh3_64;

use super::Bounds;
use super::flags::Flags;
use crate::Random;

/// What a client appends.
#[derive(Clone, Debug)]
pub struct Content {
    /// Number of its [class](Contents).
    pub class: u32,
    /// The octets as sent.
    pub octets: Rc<[u8]>,
    /// Flags it is sent with.
    pub flags: Flags,
    /// Date it is sent with, in the notation of the server.
    pub date: Option<Rc<str>>,
}

/// See the [module](self).
#[derive(Clone)]
pub struct Contents {
    bounds: Bounds,
    classes: Vec<Rc<[u8]>>,
    by_hash: BTreeMap<u64, Vec<u32>>,
    /// Octets from which messages are cut.
    noise: Vec<u8>,
    made: u64,
}

/// The sizes of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Some hundred octets, sometimes at the edge of a block.
    Small,
    /// At all edges, up to twice the large lease.
    Edges,
}

impl Contents {
    /// No messages yet.
    pub fn new(bounds: Bounds) -> Contents {
        let (classes, by_hash, noise) = (Vec::new(), BTreeMap::new(), Vec::new());
        Contents { bounds, classes, by_hash, noise, made: 0 }
    }

    /// A new message. A `tiny` one may have been sent before.
    pub fn make(&mut self, random: &mut Random, sizes: Sizes, tiny: bool) -> Content {
        if self.noise.is_empty() {
            let Bounds { block, large_lease, .. } = self.bounds;
            let mut noise = Random::new(1);
            let words = std::iter::repeat_with(|| noise.number().to_le_bytes());
            self.noise = words.take((large_lease * 2 + 4 * block) / 8).flatten().collect();
            // Line ends for the MIME parser.
            self.noise.chunks_mut(71).for_each(|line| line[..2].copy_from_slice(b"\r\n"));
        }
        self.made += 1;
        let mut octets = Vec::new();
        let size = if tiny && random.one_in(4) {
            random.within(1, 20)
        } else {
            octets = format!("X-Id: {}\r\n\r\n", self.made).into_bytes();
            self.size(random, sizes).max(octets.len())
        };
        let from = random.below(self.bounds.block);
        octets.extend_from_slice(&self.noise[from..from + size - octets.len()]);
        if !random.one_in(8) {
            // NUL needs a literal8, which not every client has.
            octets.iter_mut().filter(|octet| **octet == 0).for_each(|octet| *octet = b'0');
        }
        let flags = [0, 0, 1, 8 | 32, 4 | 64, 2 | 16 | 128, 8][random.below(7)];
        let (day, year) = (random.within(1, 28), random.within(1980, 2030));
        let date = format!("{day:2}-Feb-{year:04} 11:22:33 -0330");
        let date = (!random.one_in(8)).then(|| date.into());
        let class = self.class_of(&octets);
        Content { class, octets: self.classes[class as usize].clone(), flags, date }
    }

    /// As BODY[] shows them: 0x80 stands for NUL.
    fn told(octets: &[u8]) -> Vec<u8> {
        octets.iter().map(|&octet| if octet == 0 { 0x80 } else { octet }).collect()
    }

    fn class_of(&mut self, octets: &[u8]) -> u32 {
        if let Some(class) = self.find(octets) {
            return class;
        }
        let class = u32::try_from(self.classes.len()).expect("a run is short");
        self.classes.push(octets.into());
        self.by_hash.entry(xxh3_64(&Contents::told(octets))).or_default().push(class);
        class
    }

    /// The class with these octets.
    pub fn find(&self, octets: &[u8]) -> Option<u32> {
        let told = Contents::told(octets);
        let mut same = self.by_hash.get(&xxh3_64(&told))?.iter().copied();
        same.find(|class| Contents::told(&self.classes[*class as usize]) == told)
    }

    /// The octets of a class.
    pub fn octets(&self, class: u32) -> &Rc<[u8]> {
        &self.classes[class as usize]
    }

    fn size(&self, random: &mut Random, sizes: Sizes) -> usize {
        let Bounds { block, small_lease, large_lease, .. } = self.bounds;
        let edge = |random: &mut Random, of: usize| (of + random.below(260)).saturating_sub(130);
        match (sizes, random.below(100)) {
            (Sizes::Small, 0..90) | (Sizes::Edges, 0..40) => random.within(24, 900),
            (Sizes::Small, 90..97) | (Sizes::Edges, 40..60) => {
                let blocks = random.within(1, 3);
                edge(random, blocks * block)
            }
            (Sizes::Small, _) | (Sizes::Edges, 60..88) => edge(random, small_lease),
            (Sizes::Edges, 88..98) => edge(random, large_lease),
            (Sizes::Edges, _) => random.within(large_lease, 2 * large_lease),
        }
    }
}
