//! Modified UTF-7 (RFC 3501 section 5.1.3).

/// The alphabet of base64 with `,` in place of `/`.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Decodes strictly. Each name has one encoding, so `None` for anything [`encode`] would not write.
pub(super) fn decode(text: &[u8]) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    let mut shift_just_ended = false;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'&' {
            // Control characters pass here; `MailboxName` refuses them.
            decoded.push(char::from_u32(u32::from(*first)).filter(char::is_ascii)?);
            shift_just_ended = false;
            continue;
        }
        let end = memchr::memchr(b'-', rest)?;
        if end == 0 {
            decoded.push('&');
            shift_just_ended = false;
        } else {
            // "&AA-&BB-": one shift would have been enough.
            if shift_just_ended {
                return None;
            }
            decode_shifted(&rest[..end], &mut decoded)?;
            shift_just_ended = true;
        }
        rest = &rest[end + 1..];
    }
    Some(decoded)
}

/// The octets between `&` and `-`: base64 of UTF-16BE.
fn decode_shifted(base64: &[u8], decoded: &mut String) -> Option<()> {
    let mut units = Vec::with_capacity(base64.len() * 6 / 16);
    let (mut bits, mut width) = (0u32, 0);
    for octet in base64 {
        bits = bits << 6 | value(*octet)?;
        width += 6;
        if width >= 16 {
            width -= 16;
            units.push((bits >> width) as u16);
            bits &= (1 << width) - 1;
        }
    }
    // The remaining bits are padding: less than one base64 digit, all zero.
    if width >= 6 || bits != 0 {
        return None;
    }
    for c in char::decode_utf16(units) {
        let c = c.ok()?;
        if represents_itself(c) {
            return None;
        }
        decoded.push(c);
    }
    Some(())
}

/// Encodes: printable ASCII unchanged, `&` as `&-`, everything else as base64 of UTF-16BE.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    let (mut bits, mut width, mut shifted) = (0u32, 0, false);
    let digit = |bits: u32| char::from(ALPHABET[(bits & 63) as usize]);
    for c in text.chars().map(Some).chain([None]) {
        if let Some(c) = c.filter(|&c| !represents_itself(c)) {
            if !shifted {
                encoded.push('&');
                shifted = true;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                bits = bits << 16 | u32::from(*unit);
                width += 16;
                while width >= 6 {
                    width -= 6;
                    encoded.push(digit(bits >> width));
                }
                bits &= (1 << width) - 1;
            }
            continue;
        }
        if shifted {
            if width > 0 {
                encoded.push(digit(bits << (6 - width)));
            }
            encoded.push('-');
            (bits, width, shifted) = (0, 0, false);
        }
        match c {
            Some('&') => encoded.push_str("&-"),
            Some(c) => encoded.push(c),
            None => {}
        }
    }
    encoded
}

/// `&` is among them, written `&-`.
fn represents_itself(c: char) -> bool {
    matches!(c, ' '..='~')
}

fn value(octet: u8) -> Option<u32> {
    Some(u32::from(match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_ways() {
        for (wire, text) in [
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("&U,BTF2XlZyyKng-", "台北日本語"),
            ("&Jjo-!", "☺!"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("&-", "&"),
            ("&-&-&APw-&-", "&&ü&"),
            ("&2D3eAA-", "😀"),
            ("a b", "a b"),
            ("", ""),
        ] {
            assert_eq!(decode(wire.as_bytes()).as_deref(), Some(text));
            assert_eq!(encode(text), wire);
        }
    }

    #[test]
    fn other_encodings_of_a_name_are_refused() {
        for wire in [
            "&Jjo!",
            "&U,BTFw-&ZeVnLIqe-",
            "&",
            "R&D",
            "&APw",
            "&AGE-",
            "&AP-",
            "&APx-",
            "&APwA-",
            "&2D0-",
            "&3gA-",
            "&AP/-",
            "&ACY-",
        ] {
            assert_eq!(decode(wire.as_bytes()), None, "{wire}");
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "\\PC*") {
            prop_assert_eq!(decode(encode(&text).as_bytes()), Some(text));
        }

        #[test]
        fn decoded_names_encode_to_the_input(wire in "[&A-Ca-c,+=-]{0,12}") {
            if let Some(text) = decode(wire.as_bytes()) {
                prop_assert_eq!(encode(&text), wire);
            }
        }
    }
}
