//! Generated mail: as varied as a real archive, and determined by a seed on every machine.
//!
//! Sizes follow a corpus of 2,065 real messages (median 3.8 KB, mean 9.8 KB, a few up to 2 MB).
//! Headers, encodings and structure are modelled on lists, offices and robots. One message in forty
//! breaks the standards. Message `n` of a seed does not depend on the others.

mod body;
mod header;
mod odd;
mod random;
mod text;

use bytes::Bytes;

use self::header::Moment;
use self::random::Random;
use client::Mail;
use imap::types::Flags;

/// One message in this many is odd.
const ODD_EVERY: u64 = 40;

/// Distribution of sizes: how many of 10,000 messages have at most this many octets. Sizes are
/// uniform between two points.
const SIZES: [(usize, usize); 14] = [
    (0, 526),
    (90, 1_024),
    (1_250, 2_048),
    (3_500, 3_000),
    (5_530, 4_096),
    (8_500, 8_192),
    (9_420, 16_384),
    (9_740, 32_768),
    (9_850, 65_536),
    (9_890, 131_072),
    (9_940, 262_144),
    (9_986, 524_288),
    (9_991, 1_048_576),
    (10_000, 2_162_271),
];

/// An endless archive.
///
/// ```
/// use mailrace::tools::Generator;
///
/// let first: Vec<_> = Generator::new(7).take(100).collect();
/// let again: Vec<_> = Generator::new(7).take(100).collect();
/// assert_eq!(first, again);
/// ```
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    next: u64,
    odd: bool,
    scratch: Vec<u8>,
}

impl Generator {
    /// The archive of `seed`, from its first message.
    #[must_use]
    pub fn new(seed: u64) -> Generator {
        Generator { seed, next: 0, odd: true, scratch: Vec::new() }
    }

    /// The archive of `seed` without odd messages, which every server returns unchanged. Some
    /// servers turn a bare LF into CRLF, or replace a NUL.
    #[must_use]
    pub fn regular(seed: u64) -> Generator {
        Generator { odd: false, ..Generator::new(seed) }
    }

    /// Message `index`, counted from 0.
    pub fn message(&mut self, index: u64) -> Mail {
        let mut random = Random::new(self.seed, index);
        let moment = Moment::random(&mut random);
        self.scratch.clear();
        if self.odd && index % ODD_EVERY == 7 {
            let kind = (index / ODD_EVERY) as usize % odd::KINDS;
            odd::write(&mut random, &mut self.scratch, kind);
        } else {
            let size = size(&mut random);
            header::write(&mut random, &mut self.scratch, moment, size);
            body::write(&mut random, &mut self.scratch, moment, size);
        }
        self.mail(&mut random, moment)
    }

    /// Message `index` with exactly `size` octets, at least one: a header and text, cut to size.
    /// For measurements with messages of one size.
    pub fn message_of(&mut self, index: u64, size: usize) -> Mail {
        let mut random = Random::new(self.seed, index);
        let moment = Moment::random(&mut random);
        let size = size.max(1);
        self.scratch.clear();
        header::write(&mut random, &mut self.scratch, moment, size);
        body::write(&mut random, &mut self.scratch, moment, size);
        while self.scratch.len() < size + 2 {
            text::plain(&mut random, &mut self.scratch, size);
        }
        self.scratch.truncate(size.saturating_sub(2));
        if let Some(last @ b'\r') = self.scratch.last_mut() {
            // A bare CR before the final CRLF: some servers would repair it.
            *last = b'.';
        }
        self.scratch.extend_from_slice(&b"\r\n"[..size.min(2)]);
        self.mail(&mut random, moment)
    }

    fn mail(&self, random: &mut Random, moment: Moment) -> Mail {
        let octets = Bytes::copy_from_slice(&self.scratch);
        let date = random.chance(95).then(|| moment.internal_date());
        Mail { octets, flags: flags(random), date }
    }
}

impl Iterator for Generator {
    type Item = Mail;

    fn next(&mut self) -> Option<Mail> {
        let index = self.next;
        self.next += 1;
        Some(self.message(index))
    }
}

/// Draws a size. Integers only: floating point may round differently on other machines.
fn size(random: &mut Random) -> usize {
    const STEPS: usize = 1_000;
    let share = random.below(10_000 * STEPS);
    let above = SIZES.iter().position(|&(s, _)| s * STEPS > share).expect("the last is not below");
    let ((low, from), (high, to)) = (SIZES[above - 1], SIZES[above]);
    from + (to - from) * (share - low * STEPS) / ((high - low) * STEPS)
}

/// Draws flags: most mail in an archive is seen, some is answered, little is flagged.
fn flags(random: &mut Random) -> Flags {
    let shares = [
        (70, Flags::SEEN),
        (15, Flags::ANSWERED),
        (5, Flags::FLAGGED),
        (1, Flags::DRAFT),
        (1, Flags::DELETED),
    ];
    let set = shares.into_iter().filter(|&(percent, _)| random.chance(percent));
    set.fold(Flags::default(), |all, (_, flag)| all.union(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes only with the generator. If it must change, announce it: seeds in old reports become
    /// void.
    const DIGEST: u64 = 543_281_188_126_141_625;

    #[test]
    fn a_seed_gives_the_same_mail_for_ever() {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for mail in Generator::new(1).take(2_000) {
            hash.update(&mail.octets);
            hash.update(&[mail.flags.0]);
            hash.update(&mail.date.map_or(0, |d| d.to_bits()).to_le_bytes());
        }
        assert_eq!(hash.digest(), DIGEST);
        assert_ne!(Generator::new(1).next(), Generator::new(2).next());
        assert_eq!(Generator::new(1).nth(99), Some(Generator::new(1).message(99)));
    }

    #[test]
    fn sizes_are_those_of_an_archive() {
        let mut sizes: Vec<_> = Generator::new(5).take(20_000).map(|m| m.octets.len()).collect();
        sizes.sort_unstable();
        let at = |share: usize| sizes[sizes.len() * share / 100];
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((3_000..5_000).contains(&at(50)), "median {}", at(50));
        assert!((15_000..25_000).contains(&at(95)), "p95 {}", at(95));
        assert!((7_000..13_000).contains(&mean), "mean {mean}");
        assert!(sizes[0] == 1 && (200_000..3_000_000).contains(&sizes[sizes.len() - 1]));
    }

    #[test]
    fn messages_of_one_size_have_it() {
        let mut generator = Generator::new(3);
        for size in [1, 2, 3, 100, 1_000, 4_096, 65_536, 1 << 20] {
            assert_eq!(generator.message_of(size as u64, size).octets.len(), size);
        }
        for index in 0..1_000 {
            let octets = generator.message_of(index, 1_024).octets;
            let bare = memchr::memchr_iter(b'\r', &octets).any(|at| octets[at + 1] != b'\n');
            assert!(!bare, "message {index}");
        }
    }

    #[test]
    fn every_odd_kind_comes_up() {
        let found = |sought: &[u8]| {
            let mut mail = Generator::new(1).take(ODD_EVERY as usize * odd::KINDS);
            mail.any(|m| memchr::memmem::find(&m.octets, sought).is_some())
        };
        for sought in [&b"\0"[..], b"A1 LOGOUT\r\n", b"{10+}\r\n", b"\xfe\xff", b"b39\r\n"] {
            assert!(found(sought), "{}", sought.escape_ascii());
        }
    }
}
