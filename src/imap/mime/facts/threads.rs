//! The column of Message-IDs, and their hashes.

use xxhash_rust::xxh3::xxh3_128;

use crate::limits::MESSAGE_ID;
use crate::mime::header::fields::Fields;

/// A Message-ID as the hash of its normal form. A sender who finds a collision gains no more than
/// by copying a Message-ID: a message in the wrong thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(u128);

/// A message's own Message-ID and those of its ancestors, as THREAD reads them.
///
/// They are stored as the 128-bit hashes that THREAD compares, so a thread is the same with and
/// without the record, whatever the Message-IDs are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    pub(in crate::mime) id: Option<MessageId>,
    pub(in crate::mime) references: Vec<MessageId>,
}

/// Octets of a hash.
const HASH: usize = 16;

impl Threads {
    /// Reads a header or a whole message. The short header is not enough: it has no References.
    #[must_use]
    pub fn of_header(header: &[u8]) -> Threads {
        let (mut id, mut references, mut answers) = (None, None, None);
        for field in Fields::new(header) {
            let place = match field.name.len() {
                10 if field.is(b"Message-ID") => &mut id,
                10 if field.is(b"References") => &mut references,
                11 if field.is(b"In-Reply-To") => &mut answers,
                _ => continue,
            };
            place.get_or_insert(field.value);
        }
        let ids = |value: Option<&[u8]>| value.map(message_ids).unwrap_or_default();
        let mut references = ids(references);
        if references.is_empty() {
            references = ids(answers);
            references.truncate(1);
        }
        Threads { id: ids(id).first().copied(), references }
    }

    /// Appends the record: an octet, 1 if the message has a Message-ID, the hash of that, and those
    /// of its ancestors, eldest first. Nothing if there are none at all.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if *self == Threads::default() {
            return;
        }
        out.push(u8::from(self.id.is_some()));
        for id in self.id.iter().chain(&self.references) {
            out.extend_from_slice(&id.to_octets());
        }
    }

    /// Reads a record. `None` if the octets are not one.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<Threads> {
        let Some((&has_id, rest)) = octets.split_first() else { return Some(Threads::default()) };
        let (hashes, []) = rest.as_chunks::<HASH>() else { return None };
        let mut ids = hashes.iter().map(|hash| MessageId::of_octets(*hash));
        let id = match has_id {
            0 if ids.len() == 0 => return None,
            0 => None,
            1 => Some(ids.next()?),
            _ => return None,
        };
        Some(Threads { id, references: ids.collect() })
    }
}

impl MessageId {
    /// The index of its table among `tables`. Uses other bits than the table's own hash.
    pub(in crate::mime) fn spread(self, tables: usize) -> usize {
        (self.0 >> 64) as usize % tables
    }

    /// The hash as it is stored.
    fn to_octets(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// The Message-ID with this stored hash.
    fn of_octets(octets: [u8; 16]) -> MessageId {
        MessageId(u128::from_le_bytes(octets))
    }
}

/// The Message-IDs in a field's value, whatever separates them. Quoting and blanks are normalised:
/// `<"a"@b>` is `<a@b>` (RFC 5256, REFERENCES). Text without `@` is not a Message-ID.
///
/// ```abnf
/// msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS]
/// ```
#[must_use]
pub fn message_ids(value: &[u8]) -> Vec<MessageId> {
    let mut ids = Vec::new();
    let mut normal = Vec::new();
    let mut rest = value;
    while let Some(start) = memchr::memchr(b'<', rest) {
        rest = &rest[start + 1..];
        if let Some(length) = normalize(rest, &mut normal) {
            rest = &rest[length..];
            if normal.contains(&b'@') {
                ids.push(MessageId(xxh3_128(&normal)));
            }
        }
    }
    ids
}

/// Reads from after `<` up to `>`; returns the length, `>` included. `None` if it does not end, or
/// another `<` comes first.
fn normalize(text: &[u8], normal: &mut Vec<u8>) -> Option<usize> {
    normal.clear();
    let (mut quoted, mut escaped) = (false, false);
    for (at, &octet) in text.iter().enumerate().take(MESSAGE_ID) {
        match octet {
            _ if escaped => {
                normal.push(octet);
                escaped = false;
            }
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at + 1),
            b'<' if !quoted => return None,
            b'\r' | b'\n' => (),
            b' ' | b'\t' if !quoted => (),
            _ => normal.push(octet),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_makes_no_difference() {
        let id = |text: &str| message_ids(text.as_bytes());
        let plain = id("<01KF8JCEOCBS0045PS@xxx.yyy.com>");
        assert_eq!(plain.len(), 1);
        assert_eq!(id("<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>"), plain);
        assert_eq!(id(" (c) <01KF8JCEOCBS0045PS\r\n @ xxx.yyy.com>\r\n"), plain);
        assert_eq!(id("<\"01KF8\\JCEOCBS0045PS\"@xxx.yyy.com>"), plain);
        assert_ne!(id("<01kf8jceocbs0045ps@xxx.yyy.com>"), plain);
        assert_eq!(id("<a@b><c@d>, junk <<e@f> \"g\" <x> <\"<>\"@h> <i@j"), {
            ["<a@b>", "<c@d>", "<e@f>", "<\"<>\"@h>"].iter().flat_map(|t| id(t)).collect::<Vec<_>>()
        });
        for none in ["", "<>", "<a>", "a@b", "<a@b", "<\"a@b>", "<a@\\"] {
            assert_eq!(id(none), [], "{none}");
        }
    }

    #[test]
    fn unclosed_brackets_take_linear_time() {
        for piece in ["<", "<\"", "<a@", "<\"a\\\"", "\"<"] {
            assert!(message_ids(piece.repeat(100_000).as_bytes()).len() <= 100_000);
        }
    }
}
