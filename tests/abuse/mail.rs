//! Mail whose first line determines all its octets.

use kit::Random;

/// Number of different words in subjects.
pub const WORDS: usize = 40;

/// A message. These fields determine all its octets and its date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mail {
    /// Number of the sender.
    pub owner: usize,
    /// Number of the message among the sender's.
    pub number: u64,
    /// Size in octets, at least; the header alone may be larger.
    pub size: usize,
}

impl Mail {
    /// The whole message.
    pub fn octets(self) -> Vec<u8> {
        let Mail { owner, number, size } = self;
        let head = format!(
            "X-Id: {owner} {number} {size}\r\nFrom: o{owner}@example.org\r\n\
             Subject: {}\r\n\r\n",
            self.word()
        );
        let mut octets = head.into_bytes();
        octets.reserve(size + 80);
        let mut random = Random::new((owner as u64) << 40 | number);
        while octets.len() < size {
            for _ in 0..8 {
                // Printable random octets.
                let bits = random.number() & 0x3f3f_3f3f_3f3f_3f3f;
                octets.extend_from_slice(&(bits + 0x2020_2020_2020_2020).to_le_bytes());
            }
            octets.extend_from_slice(b"\r\n");
        }
        octets
    }

    /// The message with exactly these octets, or `None` if a single octet differs.
    pub fn of(octets: &[u8]) -> Option<Mail> {
        let line = std::str::from_utf8(octets.split(|&octet| octet == b'\r').next()?).ok()?;
        let numbers: Vec<u64> =
            line.strip_prefix("X-Id: ")?.split(' ').flat_map(str::parse).collect();
        let [owner, number, size] = numbers[..] else { return None };
        let mail = Mail { owner: owner as usize, number, size: size as usize };
        (mail.octets() == octets).then_some(mail)
    }

    /// The subject, a single word.
    pub fn word(self) -> String {
        format!("word{}x", self.number as usize % WORDS)
    }

    /// Its INTERNALDATE, in APPEND and in FETCH.
    pub fn date(self) -> String {
        let (day, minute) = (self.number % 28 + 1, self.number / 28 % 60);
        format!("{day:2}-Feb-2003 11:{minute:02}:33 -0330")
    }

    /// Actual size in octets: `size` rounded up to whole lines.
    pub fn len(self) -> u64 {
        self.octets().len() as u64
    }
}

#[test]
fn another_octet_is_seen() {
    let mail = Mail { owner: 3, number: 77, size: 5000 };
    let mut octets = mail.octets();
    assert_eq!(Mail::of(&octets), Some(mail));
    for at in [0, 7, 100, 2500, octets.len() - 1] {
        octets[at] ^= 1;
        assert_eq!(Mail::of(&octets), None, "octet {at}");
        octets[at] ^= 1;
    }
}
