//! ENVELOPE (RFC 3501 section 7.4.2).

use std::ops::ControlFlow;

use bytes::BytesMut;

use crate::limits::MIME_ANSWER;
use crate::mime::header::address::{Address, addresses};
use crate::mime::header::fields::{Fields, unfolded, without_nul};
use crate::mime::message::TooLong;
use crate::protocol::response::{nstring, string};

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

/// The fields of an envelope. Addresses of a repeated field are joined; of other fields the last
/// counts. Lists are written as they are read, because a header may have a million addresses.
#[derive(Default)]
struct Envelope<'a> {
    date: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
    from: BytesMut,
    sender: BytesMut,
    reply_to: BytesMut,
    to: BytesMut,
    cc: BytesMut,
    bcc: BytesMut,
    in_reply_to: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
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
    let envelope = read(header)?;
    let or_from = |list| if BytesMut::is_empty(list) { &envelope.from } else { list };
    let (sender, reply_to) = (or_from(&envelope.sender), or_from(&envelope.reply_to));
    let lists = [&envelope.from, sender, reply_to, &envelope.to, &envelope.cc, &envelope.bcc];
    if lists.iter().map(|list| list.len()).sum::<usize>() > MIME_ANSWER {
        return Err(TooLong);
    }
    out.extend_from_slice(b"(");
    text(out, envelope.date);
    out.extend_from_slice(b" ");
    people(out, envelope.subject);
    for list in lists {
        out.extend_from_slice(if list.is_empty() { b" NIL" } else { b" (" });
        out.extend_from_slice(list);
        out.extend_from_slice(if list.is_empty() { b"" } else { b")" });
    }
    out.extend_from_slice(b" ");
    text(out, envelope.in_reply_to);
    out.extend_from_slice(b" ");
    text(out, envelope.message_id);
    out.extend_from_slice(b")");
    Ok(())
}

fn read(header: &[u8]) -> Result<Envelope<'_>, TooLong> {
    let mut envelope = Envelope::default();
    for field in Fields::new(header) {
        let (line, list) = match field.name.len() {
            2 if field.is(b"To") => (None, Some(&mut envelope.to)),
            2 if field.is(b"Cc") => (None, Some(&mut envelope.cc)),
            3 if field.is(b"Bcc") => (None, Some(&mut envelope.bcc)),
            4 if field.is(b"From") => (None, Some(&mut envelope.from)),
            4 if field.is(b"Date") => (Some(&mut envelope.date), None),
            6 if field.is(b"Sender") => (None, Some(&mut envelope.sender)),
            7 if field.is(b"Subject") => (Some(&mut envelope.subject), None),
            8 if field.is(b"Reply-To") => (None, Some(&mut envelope.reply_to)),
            10 if field.is(b"Message-ID") => (Some(&mut envelope.message_id), None),
            11 if field.is(b"In-Reply-To") => (Some(&mut envelope.in_reply_to), None),
            _ => continue,
        };
        if let Some(line) = line {
            *line = Some(field.value);
        }
        if let Some(list) = list {
            let mut write = |address: Address| {
                write_address(list, &address);
                match list.len() > MIME_ANSWER {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            };
            if addresses(field.value, &mut write).is_break() {
                return Err(TooLong);
            }
        }
    }
    Ok(envelope)
}

fn text(out: &mut BytesMut, value: Option<&[u8]>) {
    nstring(out, value.map(unfolded).as_deref());
}

/// ```abnf
/// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
/// ```
fn write_address(out: &mut BytesMut, address: &Address) {
    out.extend_from_slice(b"(");
    people(out, address.name.as_deref());
    for part in [&address.route, &address.mailbox, &address.domain] {
        out.extend_from_slice(b" ");
        nstring(out, part.as_deref().map(without_nul).as_deref());
    }
    out.extend_from_slice(b")");
}

/// Text for people: runs of blanks become one blank, blanks at the ends are removed.
fn people(out: &mut BytesMut, text: Option<&[u8]>) {
    let Some(text) = text else { return out.extend_from_slice(b"NIL") };
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let mut after_blank = true;
    let tidy = text.iter().all(|octet| {
        let keep = *octet == b' ' && !after_blank || !blank(octet);
        after_blank = blank(octet);
        keep
    });
    if tidy && (!after_blank || text.is_empty()) {
        return string(out, &without_nul(text));
    }
    let words = text.split(blank).filter(|word| !word.is_empty());
    string(out, &without_nul(&words.collect::<Vec<_>>().join(&b' ')));
}
