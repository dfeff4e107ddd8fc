//! What FETCH needs of a message besides its octets.

use std::collections::BTreeMap;

use super::{Feed, Seen};
use crate::limits::MIME_HEADER;
use crate::mime::header::fields::{Field, Fields};
use crate::mime::parts::{Kind, Step, Walk};
use crate::mime::structure::FIELDS;
use crate::mime::text::pieces::Look;
use crate::mime::text::{of_start, preview_reads};
use crate::mime::{Message, TooLong};

/// Locates the parts of a message that comes in pieces.
pub struct Outliner {
    feed: Feed,
    /// Fields for the structure and the envelope, if wanted.
    headers: Option<Headers>,
    preview: Option<Preview>,
    taken: u64,
}

/// The result of an [`Outliner`].
#[derive(Debug)]
pub struct Outline {
    /// The parts. The message is not in memory, so only ranges of its octets are known.
    pub message: Message<'static>,
    /// Length of its header.
    pub header: u64,
    /// The header fields of an envelope.
    pub fields: Vec<u8>,
    /// See [`preview`](crate::mime::preview); empty if not wanted.
    pub preview: String,
}

#[derive(Default)]
struct Headers {
    by_start: BTreeMap<u64, Vec<u8>>,
    octets: usize,
}

/// The first words of the current part.
#[derive(Default)]
struct Preview {
    look: Option<Look>,
    start: Vec<u8>,
    found: String,
}

impl Outliner {
    /// An outliner at the start of a message. For `global` see [`Message::parse`]. Memory is used
    /// only for what is wanted: the content of `headers`, and a `preview`.
    #[must_use]
    pub fn new(global: bool, headers: bool, preview: bool) -> Outliner {
        let mut walk = Walk::new(global);
        walk.counts_lines = headers;
        Outliner {
            feed: Feed::new(walk),
            headers: headers.then(Headers::default),
            preview: preview.then(Preview::default),
            taken: 0,
        }
    }

    /// Takes the next octets; `last` if the message ends with them.
    ///
    /// # Errors
    /// If the headers are longer than [`MIME_HEADER`].
    pub fn feed(&mut self, piece: &[u8], last: bool) -> Result<(), TooLong> {
        let Outliner { feed, headers, preview, taken } = self;
        *taken += piece.len() as u64;
        feed.feed(piece, last, |walk, seen, step| {
            if let Some(headers) = headers {
                headers.take(walk.start(), seen.header)?;
            }
            if let Some(preview) = preview {
                preview.take(walk, seen, step);
            }
            Ok(false)
        })?;
        Ok(())
    }

    /// Approximate memory in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.feed.memory() + self.headers.as_ref().map_or(0, |headers| headers.octets)
    }

    /// The result, after the last octets.
    #[must_use]
    pub fn finish(self) -> Outline {
        let parts = self.feed.walk.parts;
        let headers = self.headers.unwrap_or_default().by_start;
        Outline {
            header: parts.first().map_or(0, |message| message.header.end),
            fields: headers.get(&0).cloned().unwrap_or_default(),
            preview: self.preview.unwrap_or_default().found,
            message: Message { octets: &[], headers, size: self.taken, parts },
        }
    }
}

impl Headers {
    fn take(&mut self, start: u64, header: &[u8]) -> Result<(), TooLong> {
        for field in Fields::new(header).filter(is_wanted) {
            self.octets += field.raw.len();
            if self.octets > MIME_HEADER {
                return Err(TooLong);
            }
            let kept = self.by_start.entry(start).or_default();
            kept.extend_from_slice(field.raw);
            // The header is cut off in the middle of a line.
            if !field.raw.ends_with(b"\n") {
                kept.push(b'\n');
            }
        }
        Ok(())
    }
}

/// Whether the structure or the envelope needs this field.
fn is_wanted(field: &Field<'_>) -> bool {
    let content = field.name.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"Content-"));
    content || FIELDS.iter().any(|name| field.is(name))
}

impl Preview {
    fn take(&mut self, walk: &Walk, seen: &Seen<'_>, step: Step) {
        if !self.found.is_empty() {
            return;
        }
        let number = walk.number();
        if seen.begins {
            let part = &walk.parts[number];
            let hollow = (part.kind == Kind::Multipart).then_some(Look::HOLLOW);
            let look = Look::of_part(part, walk.content_of(number)).or(hollow);
            self.look = look.filter(|look| look.readable);
            self.start.clear();
        }
        let Some(look) = &self.look else { return };
        let most = preview_reads(look).saturating_sub(self.start.len());
        self.start.extend_from_slice(&seen.body[..seen.body.len().min(most)]);
        let Step::Part(told) = step else { return };
        if walk.parts[told].hollow || walk.parts[told].kind != Kind::Multipart {
            self.found = of_start(look, &self.start);
        }
    }
}
