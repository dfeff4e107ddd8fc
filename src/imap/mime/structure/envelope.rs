//! ENVELOPE (RFC 3501 section 7.4.2).
//!
//! One pass over the header finds the values. They are written to a buffer of the function's own,
//! word by word from where they stand in the header: most text needs no change.

use std::ops::ControlFlow;

use bytes::BytesMut;

use crate::limits::MIME_ANSWER;
use crate::mime::header::address::{Address, addresses};
use crate::mime::header::fields::{unfolded, without_nul};
use crate::mime::header::short::{Kept, kept_fields};
use crate::mime::message::TooLong;
use crate::protocol::response::{QUOTED, string_to};

/// The fields of an envelope.
pub(in crate::mime) const FIELDS: [&[u8]; 10] = [
    b"Date",
    b"Subject",
    b"From",
    b"Sender",
    b"Reply-To",
    b"To",
    b"Cc",
    b"Bcc",
    b"In-Reply-To",
    b"Message-ID",
];

/// Bytes of most envelopes.
const USUAL: usize = 1000;

/// The fields of an envelope. Addresses of a repeated field are joined; of other fields the last
/// counts.
#[derive(Default)]
struct Envelope<'a> {
    date: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
    from: List<'a>,
    sender: List<'a>,
    reply_to: List<'a>,
    to: List<'a>,
    cc: List<'a>,
    bcc: List<'a>,
    in_reply_to: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
}

/// A field with addresses.
#[derive(Default)]
struct List<'a> {
    first: Option<&'a [u8]>,
    /// Whether there are more such fields. They are searched for again: a header may have a
    /// million.
    repeated: bool,
}

/// Writes the value of ENVELOPE from the header of a message; anything after the header is ignored.
/// A missing Sender or Reply-To is replaced by From.
///
/// ```abnf
/// envelope     = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP
///                env-to SP env-cc SP env-bcc SP env-in-reply-to SP env-message-id ")"
/// env-date     = nstring
/// env-from     = "(" 1*address ")" / nil
/// ```
///
/// # Errors
/// If it would be longer than [`MIME_ANSWER`].
pub fn envelope(header: &[u8], out: &mut BytesMut) -> Result<(), TooLong> {
    let envelope = Envelope::read(header);
    let mut answer = Vec::with_capacity(USUAL);
    answer.push(b'(');
    text(&mut answer, envelope.date);
    answer.push(b' ');
    people(&mut answer, envelope.subject);
    // Bytes that the lists may still take.
    let mut room = MIME_ANSWER;
    let mut from = 0..0;
    for (kept, list) in [
        (Kept::From, &envelope.from),
        (Kept::Sender, &envelope.sender),
        (Kept::ReplyTo, &envelope.reply_to),
        (Kept::To, &envelope.to),
        (Kept::Cc, &envelope.cc),
        (Kept::Bcc, &envelope.bcc),
    ] {
        answer.extend_from_slice(b" (");
        let start = answer.len();
        list.write(header, kept, room, &mut answer)?;
        if answer.len() == start && matches!(kept, Kept::Sender | Kept::ReplyTo) {
            answer.extend_from_within(from.clone());
        }
        room = room.checked_sub(answer.len() - start).ok_or(TooLong)?;
        if kept == Kept::From {
            from = start..answer.len();
        }
        if answer.len() == start {
            answer.truncate(start - 1);
            answer.extend_from_slice(b"NIL");
        } else {
            answer.push(b')');
        }
    }
    answer.push(b' ');
    text(&mut answer, envelope.in_reply_to);
    answer.push(b' ');
    text(&mut answer, envelope.message_id);
    answer.push(b')');
    out.extend_from_slice(&answer);
    Ok(())
}

impl<'a> Envelope<'a> {
    fn read(header: &'a [u8]) -> Envelope<'a> {
        let mut envelope = Envelope::default();
        for (kept, field) in kept_fields(header) {
            let list = match kept {
                Kept::Date => {
                    envelope.date = Some(field.value);
                    continue;
                }
                Kept::Subject => {
                    envelope.subject = Some(field.value);
                    continue;
                }
                Kept::InReplyTo => {
                    envelope.in_reply_to = Some(field.value);
                    continue;
                }
                Kept::MessageId => {
                    envelope.message_id = Some(field.value);
                    continue;
                }
                Kept::From => &mut envelope.from,
                Kept::Sender => &mut envelope.sender,
                Kept::ReplyTo => &mut envelope.reply_to,
                Kept::To => &mut envelope.to,
                Kept::Cc => &mut envelope.cc,
                Kept::Bcc => &mut envelope.bcc,
            };
            list.repeated = list.first.is_some();
            list.first.get_or_insert(field.value);
        }
        envelope
    }
}

impl List<'_> {
    /// Writes the addresses. Stops with an error when they take more than `room` bytes.
    fn write(
        &self,
        header: &[u8],
        kept: Kept,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        let end = out.len() + room;
        let mut write = |address: Address<'_>| {
            write_address(out, address);
            if out.len() > end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let written = if self.repeated {
            let mut fields = kept_fields(header).filter(|(other, _)| *other == kept);
            fields.try_for_each(|(_, field)| addresses(field.value, &mut write))
        } else {
            addresses(self.first.unwrap_or_default(), &mut write)
        };
        if written.is_break() { Err(TooLong) } else { Ok(()) }
    }
}

/// ```abnf
/// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
/// ```
fn write_address(out: &mut Vec<u8>, address: Address<'_>) {
    out.push(b'(');
    people(out, address.name.as_deref());
    for part in [address.route, address.mailbox, address.domain] {
        out.push(b' ');
        match part.as_deref() {
            Some(part) if are_plain(part) => quote(out, part),
            Some(part) => string_to(out, &without_nul(part)),
            None => out.extend_from_slice(b"NIL"),
        }
    }
    out.push(b')');
}

fn text(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) if are_plain(value) => quote(out, value),
        Some(value) => string_to(out, &unfolded(value)),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Text for people: runs of blanks become one blank, blanks at the ends are removed.
fn people(out: &mut Vec<u8>, text: Option<&[u8]>) {
    let Some(text) = text else { return out.extend_from_slice(b"NIL") };
    let pairs = text.iter().zip(text.get(1..).unwrap_or_default());
    let two_blanks = pairs.fold(false, |any, (&a, &b)| any | ((a == b' ') & (b == b' ')));
    let has_blank_ends = text.first() == Some(&b' ') || text.last() == Some(&b' ');
    if are_plain(text) && !two_blanks && !has_blank_ends {
        return quote(out, text);
    }
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let words = text.split(blank).filter(|word| !word.is_empty());
    string_to(out, &without_nul(&words.collect::<Vec<_>>().join(&b' ')));
}

/// Whether a text is the same in quotes: few printable ASCII characters, none of them escaped.
fn are_plain(text: &[u8]) -> bool {
    let plain = |octet: u8| matches!(octet, b' '..=b'~') & (octet != b'"') & (octet != b'\\');
    // Without an early end, the compiler looks at many octets at once.
    text.len() <= QUOTED && text.iter().fold(true, |all, &octet| all & plain(octet))
}

fn quote(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}
