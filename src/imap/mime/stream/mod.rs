//! Messages too large for memory. They come in pieces; each piece is examined once and released.
//! Memory is bounded by [`MIME_HEADER`] and by the strings of a search.

mod outline;
mod search;
#[cfg(test)]
mod tests;

pub use outline::{Outline, Outliner};
pub use search::TextSearch;

use super::TooLong;
use super::parts::{Step, Walk, Window};
use crate::limits::MIME_HEADER;

/// A walk over a message that comes in pieces.
struct Feed {
    walk: Walk,
    /// Octets that the walk has not assigned to a part yet.
    held: Vec<u8>,
    /// Their offset in the message.
    start: u64,
    delivered: Delivered,
}

/// How much of what the walk has seen was passed on.
#[derive(Default)]
struct Delivered {
    /// The part being passed on.
    number: Option<usize>,
    /// Whether its body has begun.
    begun: bool,
    taken: u64,
}

/// New octets of the part that began last.
struct Seen<'w> {
    /// Whole fields, and the empty line at the end.
    header: &'w [u8],
    /// Whether the header has ended.
    begins: bool,
    /// Octets of the body; for a multipart, of the text before its first part.
    body: &'w [u8],
}

impl Feed {
    fn new(walk: Walk) -> Feed {
        Feed { walk, held: Vec::new(), start: 0, delivered: Delivered::default() }
    }

    /// Takes the next piece and shows `look` what it adds, step by step, until `look` breaks.
    fn feed(
        &mut self,
        piece: &[u8],
        last: bool,
        mut look: impl FnMut(&Walk, &Seen<'_>, Step) -> Result<bool, TooLong>,
    ) -> Result<bool, TooLong> {
        self.held.extend_from_slice(piece);
        let window = Window::new(&self.held, self.start, last);
        loop {
            let step = self.walk.advance(window);
            let seen = self.delivered.see(&self.walk, window);
            if look(&self.walk, &seen, step)? || step == Step::End {
                return Ok(true);
            }
            if step == Step::More {
                break;
            }
        }
        self.held.drain(..(self.walk.settled - self.start) as usize);
        self.start = self.walk.settled;
        if self.held.len() > MIME_HEADER { Err(TooLong) } else { Ok(false) }
    }

    /// Approximate memory in bytes.
    fn memory(&self) -> usize {
        self.held.capacity() + self.walk.memory()
    }
}

impl Delivered {
    fn see<'w>(&mut self, walk: &Walk, window: Window<'w>) -> Seen<'w> {
        let number = walk.number();
        if self.number != Some(number) {
            *self = Delivered { number: Some(number), begun: false, taken: walk.start() };
        }
        let mut seen = Seen { header: &[], begins: false, body: &[] };
        if !self.begun {
            let in_header = walk.in_header();
            let end = if in_header { walk.settled } else { walk.parts[number].header.end };
            seen.header = window.range(&(self.taken..end));
            self.taken = end;
            if in_header {
                return seen;
            }
            (self.begun, seen.begins) = (true, true);
        }
        let end = walk.stopped.unwrap_or(walk.settled).max(self.taken);
        seen.body = window.range(&(self.taken..end));
        self.taken = end;
        seen
    }
}
