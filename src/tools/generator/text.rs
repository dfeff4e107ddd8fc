//! Text for bodies: plain, quoted-printable, flowed, 8-bit, base64.

use super::random::Random;

/// Common words. Their number is a power of two, so that one random number selects eight.
#[rustfmt::skip]
const WORDS: [&str; 128] = [
    "the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "are", "as", "with",
    "they", "at", "be", "this", "from", "have", "or", "by", "one", "had", "not", "but", "what",
    "all", "when", "we", "there", "can", "an", "your", "which", "their", "said", "if", "do",
    "will", "each", "about", "how", "up", "out", "them", "then", "she", "many", "some", "so",
    "these", "would", "other", "into", "has", "more", "two", "like", "him", "see", "time",
    "could", "no", "make", "than", "first", "been", "its", "who", "now", "people", "my", "made",
    "over", "did", "down", "only", "way", "find", "use", "may", "water", "long", "little", "very",
    "after", "words", "just", "where", "most", "know", "kernel", "patch", "server", "mailbox",
    "meeting", "invoice", "report", "budget", "deadline", "attached", "regards", "thanks",
    "question", "release", "archive", "schedule", "customer", "project", "network", "review",
    "version", "problem", "compile", "contract", "delivery", "number", "available", "together",
    "morning", "possible", "changes", "documentation", "office", "yesterday", "Wednesday",
    "performance",
];

/// Words outside ASCII, in UTF-8.
const FOREIGN: [&str; 16] = [
    "Grüße",
    "für",
    "Straße",
    "schön",
    "déjà",
    "français",
    "où",
    "naïve",
    "mañana",
    "corazón",
    "привет",
    "письмо",
    "日本語",
    "会議",
    "Ελλάδα",
    "żółw",
];

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lines of words with about `octets` in total, at most 78 each.
pub(super) fn plain(random: &mut Random, out: &mut Vec<u8>, octets: usize) {
    paragraphs(random, out, octets, b"\r\n");
}

/// `format=flowed` (RFC 3676): a line that ends in a space continues on the next.
pub(super) fn flowed(random: &mut Random, out: &mut Vec<u8>, octets: usize) {
    out.extend_from_slice(
        b"> > On Tuesday you wrote: \r\n>> stuffed and quoted \r\n From here on\r\n",
    );
    paragraphs(random, out, octets, b" \r\n");
    out.extend_from_slice(b"-- \r\nsignature\r\n");
}

fn paragraphs(random: &mut Random, out: &mut Vec<u8>, octets: usize, line_end: &[u8]) {
    let end = out.len() + octets;
    while out.len() < end {
        let line = out.len();
        let width = 56 + (random.next() & 15) as usize;
        while out.len() < line + width {
            words(random, out, line + width);
        }
        if random.next().is_multiple_of(8) {
            out.extend_from_slice(b".\r\n\r\n");
        } else {
            out.extend_from_slice(line_end);
        }
    }
}

/// Up to eight words, fewer if `until` is reached.
fn words(random: &mut Random, out: &mut Vec<u8>, until: usize) {
    for octet in random.next().to_le_bytes() {
        if out.len() >= until {
            return;
        }
        out.extend_from_slice(WORDS[usize::from(octet & 127)].as_bytes());
        // No space between the last word of a line and the line end, as editors leave it.
        if out.len() < until {
            out.push(if octet == 128 { b',' } else { b' ' });
        }
    }
}

/// Unencoded UTF-8, for `Content-Transfer-Encoding: 8bit`.
pub(super) fn eight_bit(random: &mut Random, out: &mut Vec<u8>, octets: usize) {
    let end = out.len() + octets;
    while out.len() < end {
        let line = out.len();
        while out.len() < line + 60 {
            out.extend_from_slice(random.pick(&FOREIGN).as_bytes());
            out.push(b' ');
            words(random, out, line + 60);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Quoted-printable (RFC 2045 section 6.7), with soft line breaks.
pub(super) fn quoted_printable(random: &mut Random, out: &mut Vec<u8>, octets: usize) {
    let end = out.len() + octets;
    while out.len() < end {
        let line = out.len();
        while out.len() < line + 50 {
            words(random, out, line + 44);
            for octet in random.pick(&FOREIGN).bytes() {
                quote(out, octet);
            }
            out.push(b' ');
        }
        out.extend_from_slice(if random.chance(70) { b"=\r\n" } else { b"=20\r\n" });
    }
}

fn quote(out: &mut Vec<u8>, octet: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if octet.is_ascii_alphanumeric() {
        out.push(octet);
    } else {
        let (high, low) = (usize::from(octet >> 4), usize::from(octet & 15));
        out.extend_from_slice(&[b'=', HEX[high], HEX[low]]);
    }
}

/// `magic` (base64, its length a multiple of four), then base64 of random octets, in lines of 76.
pub(super) fn base64(random: &mut Random, out: &mut Vec<u8>, octets: usize, magic: &[u8]) {
    let lines = octets / 78 + 1;
    let start = out.len();
    for _ in 0..lines {
        for _ in 0..8 {
            push_base64::<8>(random, out);
        }
        push_base64::<12>(random, out);
        out.extend_from_slice(b"\r\n");
    }
    out[start..start + magic.len()].copy_from_slice(magic);
    out.truncate(out.len() - 4);
    out.extend_from_slice(b"A=\r\n");
}

/// `N` characters, at most twelve: each takes six bits of one random number.
fn push_base64<const N: usize>(random: &mut Random, out: &mut Vec<u8>) {
    let bits = random.next();
    let characters = std::array::from_fn::<u8, N, _>(|n| {
        let shift = (n * 6) as u32;
        BASE64[(bits.rotate_right(shift) & 63) as usize]
    });
    out.extend_from_slice(&characters);
}

/// A token of `length` lower-case letters and digits, as in message IDs and boundaries.
pub(super) fn token(random: &mut Random, out: &mut Vec<u8>, length: usize) {
    const SYMBOLS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345679";
    let mut bits = 0;
    for n in 0..length {
        if n % 12 == 0 {
            bits = random.next();
        }
        out.push(SYMBOLS[(bits & 31) as usize]);
        bits >>= 5;
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;

    use super::*;

    fn filled(fill: impl Fn(&mut Random, &mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        fill(&mut Random::new(7, 7), &mut out);
        out
    }

    #[test]
    fn no_line_is_longer_than_rfc_5322_likes() {
        for text in [
            filled(|r, o| plain(r, o, 50_000)),
            filled(|r, o| flowed(r, o, 50_000)),
            filled(|r, o| quoted_printable(r, o, 50_000)),
            filled(|r, o| base64(r, o, 50_000, b"/9j/")),
        ] {
            assert!((50_000..52_000).contains(&text.len()), "{}", text.len());
            let mut lines = text.split(|&o| o == b'\n');
            assert!(lines.all(|line| line.len() <= 100));
        }
    }

    #[test]
    fn base64_decodes() {
        let text = filled(|r, o| base64(r, o, 10_000, b"/9j/4AAQ"));
        let joined: Vec<u8> = text.into_iter().filter(|o| !o.is_ascii_whitespace()).collect();
        let decoded = base64::engine::general_purpose::STANDARD.decode(&joined).unwrap();
        assert_eq!(decoded[..2], [0xff, 0xd8]);
    }
}
