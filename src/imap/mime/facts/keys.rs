//! The column of sort keys.

use std::borrow::Cow;

use super::{put_number, take_number};
use crate::limits::{SORT_ADDRESS, SORT_STRING};
use crate::mime::header::address::{self, Address, MISSING_DOMAIN};
use crate::mime::header::fields::Fields;
use crate::mime::header::short::{Kept, kept_fields};
use crate::mime::header::subject::base_subject;
use crate::mime::{casemap, decode_field};
use crate::protocol::SortKey;

/// The strings that SORT compares: mapped by [`casemap`] and cut to 1,000 octets. A string is empty
/// if the header does not have the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys<'a> {
    pub(in crate::mime) subject: Cow<'a, [u8]>,
    pub(in crate::mime) from: Cow<'a, [u8]>,
    pub(in crate::mime) to: Cow<'a, [u8]>,
    pub(in crate::mime) cc: Cow<'a, [u8]>,
    pub(in crate::mime) display_from: Cow<'a, [u8]>,
    pub(in crate::mime) display_to: Cow<'a, [u8]>,
    /// Whether the subject marks a reply or a forward.
    pub(in crate::mime) is_reply: bool,
}

/// Bits of the first octet of a record.
const IS_REPLY: u8 = 1;
/// The display string is the mailbox, and not stored again.
const SAME_FROM: u8 = 2;
const SAME_TO: u8 = 4;

impl Keys<'_> {
    /// Reads a header, a short header or a whole message. `None` if the base subject is longer than
    /// what SORT compares: THREAD compares all of it.
    #[must_use]
    pub fn of_header(header: &[u8]) -> Option<Keys<'static>> {
        let mut subject = None;
        let (mut from, mut to, mut cc) = (None, None, None);
        for (kept, field) in kept_fields(header) {
            let address = match kept {
                Kept::Subject => {
                    subject.get_or_insert(field.value);
                    continue;
                }
                Kept::From => &mut from,
                Kept::To => &mut to,
                Kept::Cc => &mut cc,
                _ => continue,
            };
            if address.is_none() {
                *address = first_of(field.value);
            }
        }
        let base = base_subject(subject.unwrap_or_default());
        let subject = casemap(&base.text).into_bytes();
        if subject.len() > SORT_STRING {
            return None;
        }
        let text = |text: String| Cow::Owned(cut(casemap(&text).into_bytes()));
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        Some(Keys {
            subject: subject.into(),
            display_from: text(display(from.clone())),
            display_to: text(display(to.clone())),
            from: text(mailbox(from)),
            to: text(mailbox(to)),
            cc: text(mailbox(cc.unwrap_or_default())),
            is_reply: base.is_reply,
        })
    }

    /// Appends the record: an octet of marks, then each string after its length. The order keeps
    /// strings that are alike from message to message together.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let same_from = self.display_from == self.from;
        let same_to = self.display_to == self.to;
        let mark = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        out.push(
            mark(self.is_reply, IS_REPLY) | mark(same_from, SAME_FROM) | mark(same_to, SAME_TO),
        );
        let mut put = |text: &[u8]| {
            put_number(text.len() as u64, out);
            out.extend_from_slice(text);
        };
        put(&self.from);
        if !same_from {
            put(&self.display_from);
        }
        put(&self.to);
        if !same_to {
            put(&self.display_to);
        }
        put(&self.cc);
        put(&self.subject);
    }

    /// Reads a record without copying. `None` if the octets are not one.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<Keys<'_>> {
        let (&marks, mut rest) = octets.split_first()?;
        if marks > IS_REPLY | SAME_FROM | SAME_TO {
            return None;
        }
        let mut string = || {
            let length = take_number(&mut rest).filter(|&length| length <= SORT_STRING as u64)?;
            let (string, after) = rest.split_at_checked(length as usize)?;
            rest = after;
            Some(string)
        };
        let from = string()?;
        let display_from = if marks & SAME_FROM == 0 { string()? } else { from };
        let to = string()?;
        let display_to = if marks & SAME_TO == 0 { string()? } else { to };
        let (cc, subject) = (string()?, string()?);
        let is_reply = marks & IS_REPLY != 0;
        rest.is_empty().then_some(Keys {
            subject: subject.into(),
            from: from.into(),
            to: to.into(),
            cc: cc.into(),
            display_from: display_from.into(),
            display_to: display_to.into(),
            is_reply,
        })
    }

    /// The string for this key; empty for keys that are numbers.
    pub(in crate::mime) fn string(&self, key: SortKey) -> &[u8] {
        match key {
            SortKey::Subject => &self.subject,
            SortKey::From => &self.from,
            SortKey::To => &self.to,
            SortKey::Cc => &self.cc,
            SortKey::DisplayFrom => &self.display_from,
            SortKey::DisplayTo => &self.display_to,
            SortKey::Arrival | SortKey::Date | SortKey::Size => &[],
        }
    }
}

/// The first address that ENVELOPE has for fields with this name. A group begins with an address of
/// its own, whose mailbox is the group's name (RFC 3501 section 7.4.2).
pub(in crate::mime) fn first_address<'a>(header: &'a [u8], name: &[u8]) -> Address<'a> {
    let mut fields = Fields::named(header, name);
    fields.find_map(|field| first_of(field.value)).unwrap_or_default()
}

fn first_of(value: &[u8]) -> Option<Address<'_>> {
    address::first(&value[..value.len().min(SORT_ADDRESS)])
}

/// The octets that are compared.
pub(in crate::mime) fn cut(mut octets: Vec<u8>) -> Vec<u8> {
    octets.truncate(SORT_STRING);
    octets
}

pub(in crate::mime) fn mailbox(address: Address) -> String {
    String::from_utf8_lossy(&address.mailbox.unwrap_or_default()).into_owned()
}

/// The display name (RFC 5957 section 3).
pub(in crate::mime) fn display(address: Address) -> String {
    if let Some(name) = address.name.as_ref().filter(|name| !name.is_empty()) {
        return decode_field(name).into_owned();
    }
    let domain = address.domain.clone().filter(|domain| **domain != *MISSING_DOMAIN);
    let mailbox = mailbox(address);
    match domain {
        Some(domain) => format!("{mailbox}@{}", String::from_utf8_lossy(&domain)),
        None => mailbox,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_as_in_an_envelope() {
        for (value, expected_mailbox, expected_display) in [
            ("a@b", "a", "a@b"),
            ("N <a@b>", "a", "N"),
            ("<\"a b\"@c>", "a b", "a b@c"),
            ("word", "word", "word"),
            ("N <word>", "word", "N"),
            ("N <word>, x@y", "word", "N"),
            ("g: a@b;", "g", "g"),
            ("<>", "MISSING_MAILBOX", "MISSING_MAILBOX"),
            ("MAILER DAEMON <>", "MISSING_MAILBOX", "MAILER DAEMON"),
            ("@route.example:b@x", "MISSING_MAILBOX", "MISSING_MAILBOX@route.example"),
            ("=?utf-8?q?J=C3=B6rg?= <a@b>", "a", "Jörg"),
            ("\r\nFrom: second@x", "second", "second@x"),
            ("", "", ""),
        ] {
            let header = format!("From: {value}\r\n");
            let address = first_address(header.as_bytes(), b"From");
            assert_eq!(mailbox(address.clone()), expected_mailbox, "{value}");
            assert_eq!(display(address), expected_display, "{value}");
        }
    }
}
