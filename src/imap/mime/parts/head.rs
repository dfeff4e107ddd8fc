//! The fields of a part's header that decide where its parts are.

use memchr::memchr;

use crate::mime::header::content::{self, Content};
use crate::mime::header::fields::Field;
use crate::mime::transfer::Transfer;

/// The header being read, and what it tells about the body.
#[derive(Default)]
pub(super) struct Head {
    pub start: u64,
    /// Number of its part.
    pub number: usize,
    pub in_digest: bool,
    /// Octets of the last line end.
    pub line_end: u64,
    /// Whether the empty line was read.
    pub ended: bool,
    /// Offset of the part's own boundary, if it has one.
    pub own: Option<usize>,
    pub content: Option<Content>,
    /// Whether there is a Content-Type, even an unreadable one.
    pub typed: bool,
    pub transfer: Option<Transfer>,
    pub mime: bool,
}

impl Head {
    /// Reads a field if it is relevant. The first of several with one name counts.
    #[inline]
    pub fn read(&mut self, field: &[u8]) {
        if matches!(field[0], b'C' | b'c' | b'M' | b'm') {
            self.read_field(&Field::new(field));
        }
    }

    fn read_field(&mut self, field: &Field) {
        match field.name.len() {
            12 if field.is(b"Content-Type") => {
                (self.mime, self.typed) = (true, true);
                self.content = self.content.take().or_else(|| Content::parse_type(field));
            }
            12 => self.mime |= field.is(b"Mime-Version"),
            25 if field.is(b"Content-Transfer-Encoding") && self.transfer.is_none() => {
                let name = content::mechanism(field);
                self.transfer = name.map(|name| Transfer::of_name(&name));
            }
            _ => {}
        }
    }
}

/// The field at the start, with its continuation lines; `None` if its end is not in the window.
pub(super) fn field(octets: &[u8], last: bool) -> Option<&[u8]> {
    let mut end = 0;
    loop {
        match memchr(b'\n', &octets[end..]) {
            Some(newline) => end += newline + 1,
            None if last => return Some(octets),
            None => return None,
        }
        match octets.get(end) {
            Some(b' ' | b'\t') => {}
            None if !last => return None,
            _ => return Some(&octets[..end]),
        }
    }
}
