//! SEARCH BODY and TEXT.

use super::{Feed, Seen};
use crate::mime::header::fields::Fields;
use crate::mime::parts::{Kind, Step, Walk};
use crate::mime::text::pieces::Look;
use crate::mime::text::push_field;
use crate::mime::text::reader::{Hay, Key, Reader};
use crate::mime::{Needle, TooLong};

/// Searches many strings in a message that comes in pieces, in one pass. It finds what
/// [`Needle::in_body`] and [`Needle::in_text`] find.
pub struct TextSearch {
    feed: Feed,
    state: State,
}

struct State {
    keys: Vec<Key>,
    /// State of the current part.
    header: Option<Hay>,
    body: Option<Reader>,
    text: String,
}

impl TextSearch {
    /// A search at the start of a message. Each string comes with whether to search headers too
    /// (TEXT), or bodies only (BODY).
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = (Needle, bool)>) -> TextSearch {
        let key = |(Needle { pattern }, headers): (Needle, bool)| {
            let found = pattern.is_empty();
            Key { pattern, headers, found }
        };
        let keys = keys.into_iter().map(key).collect();
        let state = State { keys, header: None, body: None, text: String::new() };
        TextSearch { feed: Feed::new(Walk::new(true)), state }
    }

    /// Takes the next octets; `last` if the message ends with them. Returns whether the search is
    /// over: all strings are found, or nothing is left.
    ///
    /// # Errors
    /// If a field is longer than [`MIME_HEADER`](crate::limits::MIME_HEADER).
    pub fn feed(&mut self, piece: &[u8], last: bool) -> Result<bool, TooLong> {
        let TextSearch { feed, state } = self;
        feed.feed(piece, last, |walk, seen, step| Ok(state.take(walk, seen, step)))
    }

    /// For each string, in order, whether it was found so far.
    pub fn found(&self) -> impl Iterator<Item = bool> + '_ {
        self.state.keys.iter().map(|key| key.found)
    }

    /// Approximate memory in bytes, without the strings.
    #[must_use]
    pub fn memory(&self) -> usize {
        let body = self.state.body.as_ref().map_or(0, Reader::memory);
        self.feed.memory() + self.state.text.capacity() + body
    }
}

impl State {
    fn take(&mut self, walk: &Walk, seen: &Seen<'_>, step: Step) -> bool {
        if self.keys.iter().any(|key| key.headers && !key.found) {
            self.header(seen);
        }
        if seen.begins {
            if let Some(header) = self.header.take() {
                header.finish(&mut self.keys);
            }
            let (number, part) = (walk.number(), &walk.parts[walk.number()]);
            let hollow = (part.kind == Kind::Multipart).then_some(Look::HOLLOW);
            let look = Look::of_part(part, walk.content_of(number)).or(hollow);
            self.body = look.map(|look| Reader::new(&look, &self.keys));
        }
        if let Some(body) = &mut self.body {
            body.feed(seen.body, &self.keys);
        }
        if let Step::Part(told) = step
            // The text of a multipart counts if it turns out to have no parts.
            && (walk.parts[told].hollow || walk.parts[told].kind != Kind::Multipart)
            && let Some(body) = self.body.take()
        {
            body.finish(&mut self.keys);
        }
        self.keys.iter().all(|key| key.found)
    }

    fn header(&mut self, seen: &Seen<'_>) {
        let State { keys, header, text, .. } = self;
        let hay = header.get_or_insert_with(|| Hay::new(keys, true));
        let mut end = 0;
        for field in Fields::new(seen.header) {
            text.clear();
            push_field(&field, text);
            hay.push(text, keys);
            end += field.raw.len();
        }
        hay.push(&String::from_utf8_lossy(&seen.header[end..]), keys);
    }
}
