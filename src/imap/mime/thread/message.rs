//! The data of a message that threads are built from.

use xxhash_rust::xxh3::xxh3_128;

use crate::limits::MESSAGE_ID;
use crate::mime::casemap;
use crate::mime::header::dates::sent_date;
use crate::mime::header::fields::Fields;
use crate::mime::header::subject::base_subject;

/// A Message-ID as the hash of its normal form. A sender who finds a collision gains no more than
/// by copying a Message-ID: a message in the wrong thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(u128);

/// A non-empty base subject as the hash of its casemap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubjectId(u128);

/// A message as the thread algorithms see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Sequence number or UID.
    pub number: u32,
    /// From the Message-ID field.
    pub id: Option<MessageId>,
    /// The ancestors, eldest first: all of References, else the first of In-Reply-To.
    pub references: Vec<MessageId>,
    /// `None` if the base subject is empty.
    pub subject: Option<SubjectId>,
    /// Whether the subject marks a reply or a forward.
    pub is_reply: bool,
    /// The sent date (RFC 5256 section 2.2), in seconds since 1970-01-01T00:00:00Z.
    pub date: i64,
    /// The internal date, in seconds since 1970-01-01T00:00:00Z. REFS sorts threads by it.
    pub arrival: i64,
}

impl MessageId {
    /// The index of its table among `tables`. Uses other bits than the table's own hash.
    pub(super) fn spread(self, tables: usize) -> usize {
        (self.0 >> 64) as usize % tables
    }
}

impl Message {
    /// Reads a header. Without a sent date, the internal date replaces it.
    #[must_use]
    pub fn of_header(number: u32, header: &[u8], internal_date: i64) -> Message {
        let (mut id, mut references, mut answers, mut subject) = (None, None, None, None);
        for field in Fields::new(header) {
            let place = match field.name {
                n if n.eq_ignore_ascii_case(b"Message-ID") => &mut id,
                n if n.eq_ignore_ascii_case(b"References") => &mut references,
                n if n.eq_ignore_ascii_case(b"In-Reply-To") => &mut answers,
                n if n.eq_ignore_ascii_case(b"Subject") => &mut subject,
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
        let subject = base_subject(subject.unwrap_or_default());
        Message {
            number,
            id: ids(id).first().copied(),
            references,
            subject: SubjectId::of_base(&subject.text),
            is_reply: subject.is_reply,
            date: sent_date(header).map_or(internal_date, |date| date.instant),
            arrival: internal_date,
        }
    }
}

impl SubjectId {
    /// The identifier of this base subject.
    #[must_use]
    pub fn of_base(text: &str) -> Option<SubjectId> {
        (!text.is_empty()).then(|| SubjectId(xxh3_128(casemap(text).as_bytes())))
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
    fn a_header_gives_a_message() {
        let header = b"References: junk\r\nIn-Reply-To: bob <a@b> <c@d>\r\nMessage-ID: <e@f>\r\n\
            Subject: Re: Hello\r\nDate: 2 Jan 1970 00:00:00 +0000\r\n\r\n";
        let message = Message::of_header(7, header, 1);
        let expected = Message {
            number: 7,
            id: message_ids(b"<e@f>").pop(),
            references: message_ids(b"<a@b>"),
            subject: SubjectId::of_base("hello"),
            is_reply: true,
            date: 86_400,
            arrival: 1,
        };
        assert_eq!(message, expected);
        let bare = Message::of_header(8, b"Subject: Re:\r\n", 5);
        assert_eq!((bare.id, bare.subject, bare.is_reply, bare.date), (None, None, true, 5));
    }

    #[test]
    fn unclosed_brackets_take_linear_time() {
        for piece in ["<", "<\"", "<a@", "<\"a\\\"", "\"<"] {
            assert!(message_ids(piece.repeat(100_000).as_bytes()).len() <= 100_000);
        }
    }
}
