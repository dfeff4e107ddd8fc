//! Checking messages beside the reactors: their octets are compared with their checksums.

use std::collections::VecDeque;

use super::message::{Checksum, Stored};
use crate::reactor::files::File;
use crate::store::format::{Fragment, SegmentId};
use crate::store::records::{Flaw, Step};
use crate::store::segments::Segments;

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// The check of some messages, in steps. Files are open only within a step, so that they can be
/// given back in between.
pub struct MessageCheck<M> {
    segments: Segments,
    waiting: VecDeque<M>,
    /// Of the first message: checksum, fragment and place in it.
    checksum: Checksum,
    fragment: usize,
    at: u32,
}

/// Files and memory of one step.
struct Reading<'a> {
    segments: &'a Segments,
    open: Option<(SegmentId, File)>,
    buffer: Vec<u8>,
}

impl<M: Stored> MessageCheck<M> {
    /// A check of these messages.
    #[must_use]
    pub fn new(segments: &Segments, messages: Vec<M>) -> MessageCheck<M> {
        let (segments, waiting) = (segments.clone(), messages.into());
        MessageCheck { segments, waiting, checksum: Checksum::default(), fragment: 0, at: 0 }
    }

    /// Checks until about this many bytes were read. Flaws come with their messages, and are true
    /// only if the message still lies there afterwards. Blocks.
    #[must_use]
    pub fn step(&mut self, most: u64) -> Step<(M, Flaw)> {
        let segments = self.segments.clone();
        let mut reading = Reading { segments: &segments, open: None, buffer: vec![0; PIECE] };
        let mut step = Step { read: 0, flaws: Vec::new(), done: false };
        while step.read < most {
            let Some(message) = self.waiting.front() else { break };
            let flaw = match message.fragment(self.fragment) {
                Some(fragment) if self.at < fragment.length => {
                    let rest = Fragment {
                        offset: fragment.offset + self.at,
                        length: fragment.length - self.at,
                        ..fragment
                    };
                    match reading.piece(rest) {
                        Ok(octets) => {
                            self.checksum.update(octets);
                            self.at += octets.len() as u32;
                            step.read += octets.len() as u64;
                            continue;
                        }
                        Err(flaw) => Some(flaw),
                    }
                }
                Some(_) => {
                    (self.fragment, self.at) = (self.fragment + 1, 0);
                    continue;
                }
                None => self.checksum.verify(message).err().map(|_| {
                    let start = message.fragment(0).map_or(0, |first| first.offset.into());
                    let what = "the message is not what was received: its checksum is wrong";
                    Flaw::wrong(start, what.into())
                }),
            };
            let message = self.waiting.pop_front().expect("it was looked at");
            step.flaws.extend(flaw.map(|flaw| (message, flaw)));
            self.checksum.reset();
            (self.fragment, self.at) = (0, 0);
        }
        step.done = self.waiting.is_empty();
        step
    }
}

impl Reading<'_> {
    /// The beginning of a fragment.
    fn piece(&mut self, fragment: Fragment) -> Result<&[u8], Flaw> {
        let Fragment { segment, offset, length } = fragment;
        let at = u64::from(offset);
        let file = match self.open.take() {
            Some((open, file)) if open == segment => file,
            _ => self.segments.open_as_stored(segment).map_err(|e| Flaw::of(at, &e))?,
        };
        let (_, file) = self.open.insert((segment, file));
        let part = &mut self.buffer[..(length as usize).min(PIECE)];
        match file.read_at(part, at) {
            Ok(0) => Err(Flaw::wrong(at, "the file ends here".into())),
            Ok(read) => Ok(&part[..read]),
            Err(error) => Err(Flaw::of(at, &error)),
        }
    }
}
