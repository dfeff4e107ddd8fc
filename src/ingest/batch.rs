//! The messages of one APPEND while they arrive, and where their octets went.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::reactor::unix_seconds;
use crate::store::{Fragment, KeywordList, MessageRecord, Place, Record, SegmentId};
use imap::protocol::Options;
use imap::types::InternalDate;

/// Fragments in the frame that is still being filled carry this instead of a segment; their
/// offset counts from the start of the frame. No segment has the number 0.
const THIS_FRAME: SegmentId = SegmentId(0);

/// All that is known of a batch before it is committed.
#[derive(Default)]
pub struct Batch {
    /// Complete messages whose records are not in the log yet.
    pub messages: Vec<MessageRecord>,
    /// Messages before `messages`, whose records are, as they were logged: joining them would
    /// need the memory of all twice.
    logged: Vec<Vec<MessageRecord>>,
    /// Of messages with many fragments, by their number in the batch: those that are in the log.
    early: Vec<(usize, Vec<Fragment>)>,
    /// Octets of all complete messages.
    pub octets: u64,
    current: Option<Incoming>,
}

/// A message of which some octets are still to come.
struct Incoming {
    record: MessageRecord,
    /// Made when the message turns out not to lie in one piece; it is half a kilobyte.
    hash: Option<Box<Xxh3>>,
    announced: u64,
}

impl Batch {
    /// Begins a message. `keywords` are those of the options, in a list that it shares with others.
    pub fn begin(&mut self, options: &Options, keywords: KeywordList) {
        assert!(self.current.is_none(), "a message begins before the last one ended");
        let record = MessageRecord {
            size: 0,
            date: options.date.unwrap_or_else(now),
            flags: options.flags,
            keywords,
            checksum: 0,
            fragments: Vec::with_capacity(1),
        };
        self.current = Some(Incoming { record, hash: None, announced: options.literal.size });
    }

    /// Takes octets of the current message, which lie at `offset` of the frame being filled.
    pub fn octets(&mut self, octets: &[u8], offset: usize) {
        let current = self.current.as_mut().expect("octets belong to a message");
        let offset = u32::try_from(offset).expect("a frame is small");
        let length = u32::try_from(octets.len()).expect("a frame is small");
        current.record.size += u64::from(length);
        if current.record.size == current.announced && current.hash.is_none() {
            current.record.checksum = xxh3_128(octets);
        } else {
            current.hash.get_or_insert_with(|| Box::new(Xxh3::new())).update(octets);
        }
        match current.record.fragments.last_mut() {
            Some(last) if last.segment == THIS_FRAME => {
                assert_eq!(last.offset + last.length, offset, "octets of a message lie together");
                last.length += length;
            }
            _ => current.record.fragments.push(Fragment { segment: THIS_FRAME, offset, length }),
        }
    }

    /// Ends the current message.
    pub fn end(&mut self) {
        let current = self.current.take().expect("a message ends once");
        let mut record = current.record;
        assert_eq!(record.size, current.announced, "the literal had another size");
        if let Some(hash) = current.hash {
            record.checksum = hash.digest128();
        }
        self.octets += record.size;
        self.messages.push(record);
    }

    /// Messages that are complete.
    #[must_use]
    pub fn count(&self) -> usize {
        self.logged.iter().map(Vec::len).sum::<usize>() + self.messages.len()
    }

    /// Octets that `messages` will take in the log.
    #[must_use]
    pub fn messages_len(&self) -> usize {
        if self.messages.is_empty() { 0 } else { Record::messages_len(&self.messages) }
    }

    /// The records of the first of `messages` are in the log.
    pub fn messages_logged(&mut self, messages: Vec<MessageRecord>) {
        self.logged.push(messages);
    }

    /// Whether the current message has at least so many fragments.
    #[must_use]
    pub fn has_many_fragments(&self, enough: usize) -> bool {
        self.current.as_ref().is_some_and(|incoming| incoming.record.fragments.len() >= enough)
    }

    /// The fragments of the current message, all of which are placed: their frame is written.
    #[must_use]
    pub fn take_fragments(&mut self) -> Vec<Fragment> {
        let current = self.current.as_mut();
        current.map(|incoming| std::mem::take(&mut incoming.record.fragments)).unwrap_or_default()
    }

    /// These fragments of the current message are in the log.
    pub fn fragments_logged(&mut self, fragments: Vec<Fragment>) {
        let number = self.count();
        match self.early.last_mut() {
            Some((at, early)) if *at == number => early.extend(fragments),
            _ => self.early.push((number, fragments)),
        }
    }

    /// All messages, whole, of which `last` were still to be logged with the footer.
    pub fn all(&mut self, last: Vec<MessageRecord>) -> impl Iterator<Item = MessageRecord> {
        let logged = std::mem::take(&mut self.logged).into_iter().chain([last]).flatten();
        let mut early = std::mem::take(&mut self.early).into_iter().peekable();
        logged.enumerate().map(move |(number, mut message)| {
            if let Some((_, mut fragments)) = early.next_if(|(at, _)| *at == number) {
                fragments.append(&mut message.fragments);
                message.fragments = fragments;
            }
            message
        })
    }

    /// All messages, in pieces, to be dropped.
    pub(super) fn into_pieces(self) -> impl Iterator<Item = Vec<MessageRecord>> {
        self.logged.into_iter().chain([self.messages])
    }

    /// Says where the frame that was being filled goes.
    pub fn placed(&mut self, frame: &Place) {
        let current = self.current.as_mut().map(|incoming| &mut incoming.record);
        place(current.into_iter().chain(self.messages.iter_mut().rev()), frame);
    }
}

fn now() -> InternalDate {
    InternalDate::from_unix(unix_seconds().cast_signed())
}

/// Tells messages, the last one first, where the frame that was being filled goes.
pub(super) fn place<'a>(messages: impl Iterator<Item = &'a mut MessageRecord>, frame: &Place) {
    for (nth, message) in messages.enumerate() {
        match message.fragments.last_mut() {
            Some(last) if last.segment == THIS_FRAME => {
                last.segment = frame.segment;
                last.offset += frame.offset;
            }
            // The current message may have nothing in this frame; the others stand in order.
            _ if nth == 0 => {}
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Epoch, LogId, Lsn};
    use imap::protocol::Literal;
    use imap::types::Flags;

    fn options(size: u64) -> Options {
        let literal = Literal { size, synchronising: false, binary: false };
        Options { flags: Flags::default(), keywords: vec![], date: None, utf8: false, literal }
    }

    fn place(segment: u64, offset: u32) -> Place {
        Place {
            segment: SegmentId(segment),
            offset,
            length: 4096,
            lsn: Lsn(1),
            watermark: Lsn(0),
            epoch: Epoch(1),
            log: LogId(0),
            salt: 0,
        }
    }

    #[test]
    fn fragments_follow_the_frames() {
        let mut batch = Batch::default();
        batch.begin(&options(3), KeywordList::default());
        batch.octets(b"abc", 128);
        batch.end();
        batch.begin(&options(6), KeywordList::default());
        batch.octets(b"de", 140);
        batch.octets(b"f", 142);
        batch.placed(&place(7, 4096));
        batch.octets(b"ghi", 128);
        batch.end();
        batch.placed(&place(8, 8192));
        let fragment =
            |segment, offset, length| Fragment { segment: SegmentId(segment), offset, length };
        assert_eq!(batch.messages[0].fragments, [fragment(7, 4224, 3)]);
        assert_eq!(batch.messages[1].fragments, [fragment(7, 4236, 3), fragment(8, 8320, 3)]);
        assert_eq!(batch.messages[0].checksum, xxh3_128(b"abc"));
        assert_eq!(batch.messages[1].checksum, xxh3_128(b"defghi"));
        assert_eq!((batch.count(), batch.octets), (2, 9));
    }
}
