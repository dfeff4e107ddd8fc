//! ENVELOPE (RFC 3501 section 7.4.2).

use bytes::BytesMut;

use crate::mime::header::address::{Address, address_list};
use crate::mime::header::fields::{Fields, unfolded, without_nul};
use crate::protocol::response::{nstring, string};

/// What an envelope is made of. Addresses of fields that come twice are joined, of other fields
/// the last counts.
#[derive(Default)]
struct Envelope<'a> {
    date: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
    from: Vec<Address>,
    sender: Vec<Address>,
    reply_to: Vec<Address>,
    to: Vec<Address>,
    cc: Vec<Address>,
    bcc: Vec<Address>,
    in_reply_to: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
}

/// Writes the value of ENVELOPE from the header of a message; what follows the header is not
/// looked at. A sender or reply-to that is missing is that of from.
///
/// ```abnf
/// envelope     = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP
///                env-to SP env-cc SP env-bcc SP env-in-reply-to SP env-message-id ")"
/// env-date     = nstring
/// env-from     = "(" 1*address ")" / nil
/// ```
pub fn envelope(header: &[u8], out: &mut BytesMut) {
    let envelope = read(header);
    let or_from = |list: Vec<Address>| if list.is_empty() { None } else { Some(list) };
    let (sender, reply_to) = (or_from(envelope.sender), or_from(envelope.reply_to));
    let sender = sender.as_ref().unwrap_or(&envelope.from);
    let reply_to = reply_to.as_ref().unwrap_or(&envelope.from);
    out.extend_from_slice(b"(");
    text(out, envelope.date);
    out.extend_from_slice(b" ");
    people(out, envelope.subject);
    for list in [&envelope.from, sender, reply_to, &envelope.to, &envelope.cc, &envelope.bcc] {
        out.extend_from_slice(b" ");
        addresses(out, list);
    }
    out.extend_from_slice(b" ");
    text(out, envelope.in_reply_to);
    out.extend_from_slice(b" ");
    text(out, envelope.message_id);
    out.extend_from_slice(b")");
}

fn read(header: &[u8]) -> Envelope<'_> {
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
            address_list(field.value, list);
        }
    }
    envelope
}

fn text(out: &mut BytesMut, value: Option<&[u8]>) {
    nstring(out, value.map(unfolded).as_deref());
}

/// ```abnf
/// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
/// ```
fn addresses(out: &mut BytesMut, list: &[Address]) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.extend_from_slice(b"(");
    for address in list {
        out.extend_from_slice(b"(");
        people(out, address.name.as_deref());
        for part in [&address.route, &address.mailbox, &address.domain] {
            out.extend_from_slice(b" ");
            nstring(out, part.as_deref().map(without_nul).as_deref());
        }
        out.extend_from_slice(b")");
    }
    out.extend_from_slice(b")");
}

/// What people read: one blank where there were several, none at the ends.
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
