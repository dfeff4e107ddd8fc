//! Randomness that a seed repeats.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64. The generator of the tools (`tools::Generator`) has one of its own: its stream is
/// part of the product, since a seed stands for the same mail in every version.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// A different stream in each run, or the one that MAILRACE_SEED names. Prints the seed, so
    /// that it is seen when the test fails.
    pub fn seeded() -> Random {
        let given = std::env::var("MAILRACE_SEED").map(|seed| seed.parse().expect("a number"));
        let seed = given.unwrap_or_else(|_| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_nanos() as u64 % 1_000_000_007
        });
        println!("to repeat this: MAILRACE_SEED={seed}");
        Random(seed)
    }

    /// A stream of its own: what is drawn from it does not change this one.
    pub fn fork(&mut self) -> Random {
        Random(self.number() ^ 0x5DEE_CE66_D1CE_4E5B)
    }

    /// 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end` - 1; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.number()) * end as u128) >> 64) as usize
    }

    /// A number from `first` to `last`, both included.
    pub fn within(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// True with a probability of `percent` in a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// True with a probability of `times` in a million.
    pub fn in_a_million(&mut self, times: u32) -> bool {
        times > 0 && self.below(1_000_000) < times as usize
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Random bytes.
    pub fn octets(&mut self, length: usize) -> Vec<u8> {
        let words = (0..length.div_ceil(8)).flat_map(|_| self.number().to_le_bytes());
        words.take(length).collect()
    }
}
