//! The messages of one APPEND while they arrive, and the places of their octets.

use crate::reactor::unix_seconds;
use crate::store::{Fragments, Incoming, KeywordList, MessageRecord, Record, SegmentId, place};
use imap::protocol::Options;
use imap::types::InternalDate;

/// The state of a batch before its commit.
#[derive(Default)]
pub struct Batch {
    /// Complete messages whose records are not in the log yet.
    pub messages: Vec<MessageRecord>,
    /// Earlier messages, whose records are in the log, grouped as they were logged: joining the
    /// groups would need the memory of all twice.
    logged: Vec<Vec<MessageRecord>>,
    /// Fragments already in the log of messages with many fragments, by the message's index in the
    /// batch.
    early: Vec<(usize, Fragments)>,
    /// Total octets of complete messages.
    pub octets: u64,
    current: Option<Incoming>,
}

impl Batch {
    /// Starts a message. `keywords` is the list for the keywords in `options`; messages share it.
    pub fn begin(&mut self, options: &Options, keywords: KeywordList) {
        assert!(self.current.is_none(), "a message begins before the last one ended");
        let date = options.date.unwrap_or_else(now);
        let incoming = Incoming::new(options.literal.size, date, options.flags, keywords);
        self.current = Some(incoming);
    }

    /// Adds octets of the current message, at `offset` in the open frame.
    pub fn octets(&mut self, octets: &[u8], offset: usize) {
        self.current.as_mut().expect("octets belong to a message").octets(octets, offset);
    }

    /// Ends the current message.
    pub fn end(&mut self) {
        let record = self.current.take().expect("a message ends once").end();
        self.octets += record.size;
        self.messages.push(record);
    }

    /// Number of complete messages.
    #[must_use]
    pub fn count(&self) -> usize {
        self.logged.iter().map(Vec::len).sum::<usize>() + self.messages.len()
    }

    /// Size in the log of the record with `messages`, in octets.
    #[must_use]
    pub fn messages_len(&self) -> usize {
        if self.messages.is_empty() { 0 } else { Record::messages_len(&self.messages) }
    }

    /// Notes that the records of these messages, the oldest of `messages`, are in the log.
    pub fn messages_logged(&mut self, messages: Vec<MessageRecord>) {
        self.logged.push(messages);
    }

    /// Whether the fragments of the current message take at least this many bytes of memory.
    #[must_use]
    pub fn has_fragments_for(&self, octets: usize) -> bool {
        self.current.as_ref().is_some_and(|incoming| incoming.has_fragments_for(octets))
    }

    /// Takes the fragments of the current message. Their frame must be written, so that they have a
    /// place.
    #[must_use]
    pub fn take_fragments(&mut self) -> Fragments {
        self.current.as_mut().map(Incoming::take_fragments).unwrap_or_default()
    }

    /// Notes that these fragments of the current message are in the log.
    pub fn fragments_logged(&mut self, fragments: Fragments) {
        let number = self.count();
        match self.early.last_mut() {
            Some((at, early)) if *at == number => early.extend(fragments),
            _ => self.early.push((number, fragments)),
        }
    }

    /// All messages with all fragments. `last` were logged with the commit.
    pub fn into_all(self, last: Vec<MessageRecord>) -> impl Iterator<Item = MessageRecord> {
        let logged = self.logged.into_iter().chain([last]).flatten();
        let mut early = self.early.into_iter().peekable();
        logged.enumerate().map(move |(number, mut message)| {
            if let Some((_, mut fragments)) = early.next_if(|(at, _)| *at == number) {
                fragments.append(&mut message.fragments);
                message.fragments = fragments;
            }
            message
        })
    }

    /// All messages in groups, to be dropped.
    pub(super) fn into_pieces(self) -> impl Iterator<Item = Vec<MessageRecord>> {
        self.logged.into_iter().chain([self.messages])
    }

    /// Sets the place of the frame that was being filled.
    pub fn placed(&mut self, begins_at: (SegmentId, u32)) {
        place(self.current.as_mut(), self.messages.iter_mut().rev(), begins_at);
    }
}

fn now() -> InternalDate {
    InternalDate::from_unix(unix_seconds().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_128;

    use imap::protocol::Literal;
    use imap::types::Flags;

    fn options(size: u64) -> Options {
        let literal = Literal { size, synchronising: false, binary: false };
        Options { flags: Flags::default(), keywords: vec![], date: None, utf8: false, literal }
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
        batch.placed((SegmentId(7), 4096));
        batch.octets(b"ghi", 128);
        batch.end();
        batch.placed((SegmentId(8), 8192));
        let fragments = |message: &MessageRecord| {
            let all = message.fragments.iter();
            all.map(|one| (one.segment.0, one.offset, one.length)).collect::<Vec<_>>()
        };
        assert_eq!(fragments(&batch.messages[0]), [(7, 4224, 3)]);
        assert_eq!(fragments(&batch.messages[1]), [(7, 4236, 3), (8, 8320, 3)]);
        assert_eq!(batch.messages[0].checksum, xxh3_128(b"abc"));
        assert_eq!(batch.messages[1].checksum, xxh3_128(b"defghi"));
        assert_eq!((batch.count(), batch.octets), (2, 9));
    }
}
