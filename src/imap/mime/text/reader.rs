//! Many strings searched in a text that comes in pieces.
//!
//! ```text
//! octets ──transfer──▶ decoded ──charset──▶ text ──casemap──▶ hay ──▶ found
//!                                              (a hay for each charset it may be in)
//! ```
//!
//! Mapped text is gathered to [`GATHERED`] bytes and then searched for each string not found yet,
//! so a step costs one memmem per string rather than one per piece. The last octets, one fewer than
//! the longest string has, are kept and put before the next step, so that a match may straddle two
//! steps. A text without a charset may be UTF-8, Windows-1252 or ISO-2022-JP, and only its end
//! decides which: once octets tell the candidates apart, each is searched, and the results of the
//! right one count.

use std::sync::Arc;

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16LE, WINDOWS_1252};

use super::charset::{Charset, Sound};
use super::collation::casemap_into;
use super::pattern::Pattern;
use super::pieces::Look;
use super::shifting::{Kind, Shifting};
use crate::mime::transfer;

/// Octets decoded in one step.
const STEP: usize = 16 << 10;

/// Minimum bytes of mapped text to search at once.
const GATHERED: usize = 64 << 10;

/// A search string.
#[derive(Clone, Debug)]
pub(in crate::mime) struct Key {
    pub pattern: Arc<Pattern>,
    /// Whether to search headers, and not only bodies.
    pub headers: bool,
    pub found: bool,
}

/// Text mapped by i;unicode-casemap, searched as it comes.
#[derive(Clone, Debug)]
pub(in crate::mime) struct Hay {
    mapped: Vec<u8>,
    /// Length of the longest string: that much of the end is kept.
    longest: usize,
    header: bool,
    /// For each string, whether it was found.
    found: Vec<bool>,
}

impl Hay {
    /// Searches these strings; `header` tells whether the text is a header.
    pub fn new(keys: &[Key], header: bool) -> Hay {
        let longest = keys.iter().map(|key| key.pattern.len()).max().unwrap_or(0);
        Hay { mapped: Vec::new(), longest, header, found: vec![false; keys.len()] }
    }

    /// Adds the next text.
    pub fn push(&mut self, text: &str, keys: &[Key]) {
        let mut rest = text;
        while !rest.is_empty() {
            let (step, tail) = rest.split_at(rest.floor_char_boundary(STEP));
            casemap_into(step, &mut self.mapped);
            if self.mapped.len() >= GATHERED.max(4 * self.longest) {
                self.look(keys);
                let kept = self.longest.saturating_sub(1);
                self.mapped.drain(..self.mapped.len() - kept);
            }
            rest = tail;
        }
    }

    fn look(&mut self, keys: &[Key]) {
        for (key, found) in keys.iter().zip(&mut self.found) {
            if !*found && !key.found && (key.headers || !self.header) {
                *found = key.pattern.is_in_mapped(&self.mapped);
            }
        }
    }

    /// Ends the text, and marks the strings found in it.
    pub fn finish(mut self, keys: &mut [Key]) {
        self.look(keys);
        for (key, found) in keys.iter_mut().zip(self.found) {
            key.found |= found;
        }
    }

    fn memory(&self) -> usize {
        self.mapped.capacity() + self.found.len()
    }
}

/// Searches the body of a part.
pub(in crate::mime) struct Reader {
    transfer: transfer::Decoder,
    decodes: bool,
    charset: Decoding,
    /// One, or one for each charset the text may be in.
    hays: Vec<Hay>,
    octets: Vec<u8>,
    text: String,
}

enum Decoding {
    Standard(Decoder),
    Other(Shifting),
    Unknown(Box<Guess>),
}

/// A text without charset, decoded in every charset it may be in. Its end decides which is right.
struct Guess {
    utf8: Decoder,
    latin: Decoder,
    japanese: Shifting,
    /// Whether it is not valid UTF-8; `sound` counts how much is.
    broken: bool,
    sound: Sound,
    /// Whether it contains octets beyond ASCII.
    high: bool,
}

impl Reader {
    /// A reader at the start of a body.
    pub fn new(look: &Look, keys: &[Key]) -> Reader {
        let bare = Encoding::new_decoder_without_bom_handling;
        let charset = match look.charset {
            Charset::Standard(encoding) if encoding == UTF_16LE => {
                Decoding::Standard(encoding.new_decoder())
            }
            Charset::Standard(encoding) => {
                Decoding::Standard(encoding.new_decoder_with_bom_removal())
            }
            Charset::Other(kind) => Decoding::Other(Shifting::new(kind)),
            Charset::Unknown => Decoding::Unknown(Box::new(Guess {
                utf8: bare(UTF_8),
                latin: bare(WINDOWS_1252),
                japanese: Shifting::new(Kind::Iso2022),
                broken: false,
                sound: Sound::default(),
                high: false,
            })),
        };
        Reader {
            transfer: transfer::Decoder::new(look.transfer),
            decodes: look.transfer.decodes(),
            charset,
            hays: vec![Hay::new(keys, false)],
            octets: Vec::new(),
            text: String::new(),
        }
    }

    /// Takes the next octets, before transfer decoding.
    pub fn feed(&mut self, octets: &[u8], keys: &[Key]) {
        for step in octets.chunks(STEP) {
            if self.decodes {
                let mut decoded = std::mem::take(&mut self.octets);
                decoded.clear();
                self.transfer.feed(step, &mut decoded);
                self.decode(&decoded, false, keys);
                self.octets = decoded;
            } else {
                self.decode(step, false, keys);
            }
        }
    }

    /// Ends the body, and marks the strings found in it.
    pub fn finish(mut self, keys: &mut [Key]) {
        let mut rest = Vec::new();
        self.transfer.finish(&mut rest);
        self.decode(&rest, true, keys);
        let hay = match &self.charset {
            Decoding::Unknown(guess) if self.hays.len() > 1 => guess.hay(),
            _ => 0,
        };
        self.hays.swap_remove(hay).finish(keys);
    }

    /// Approximate memory in bytes.
    pub fn memory(&self) -> usize {
        let hays = self.hays.iter().map(Hay::memory).sum::<usize>();
        hays + self.octets.capacity() + self.text.capacity()
    }

    fn decode(&mut self, octets: &[u8], last: bool, keys: &[Key]) {
        let Reader { charset, hays, text, .. } = self;
        text.clear();
        match charset {
            Decoding::Standard(decoder) => {
                decode(decoder, octets, last, text);
                hays[0].push(text, keys);
            }
            Decoding::Other(shifting) => {
                shifting.feed(octets, text);
                if last {
                    shifting.finish(text);
                }
                hays[0].push(text, keys);
            }
            Decoding::Unknown(guess) => guess.decode(octets, last, hays, text, keys),
        }
    }
}

impl Guess {
    fn decode(
        &mut self,
        octets: &[u8],
        last: bool,
        hays: &mut Vec<Hay>,
        text: &mut String,
        keys: &[Key],
    ) {
        let mut rest = octets;
        if hays.len() == 1 {
            // While it is ASCII, all candidates are equal.
            let plain = |octet: &u8| octet.is_ascii() && *octet != 0x1b;
            let length = rest.iter().position(|octet| !plain(octet)).unwrap_or(rest.len());
            let (ascii, others) = rest.split_at(length);
            hays[0].push(std::str::from_utf8(ascii).unwrap_or_default(), keys);
            if others.is_empty() {
                return;
            }
            rest = others;
            hays.extend([hays[0].clone(), hays[0].clone()]);
        }
        self.high |= !rest.is_ascii();
        self.broken |= decode(&mut self.utf8, rest, last, text);
        self.sound.count(text);
        hays[0].push(text, keys);
        text.clear();
        decode(&mut self.latin, rest, last, text);
        hays[1].push(text, keys);
        text.clear();
        self.japanese.feed(rest, text);
        if last {
            self.japanese.finish(text);
        }
        hays[2].push(text, keys);
    }

    fn hay(&self) -> usize {
        match self.broken {
            _ if self.japanese.japanese && !self.high => 2,
            true if !self.sound.is_utf8() => 1,
            _ => 0,
        }
    }
}

/// Appends the decoded octets; returns whether some are invalid.
fn decode(decoder: &mut Decoder, octets: &[u8], last: bool, text: &mut String) -> bool {
    let room = decoder.max_utf8_buffer_length(octets.len());
    text.reserve(room.expect("a step of some kibibytes"));
    decoder.decode_to_string(octets, text, last).2
}
